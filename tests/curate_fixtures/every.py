"""One way to curate every dataset's fixture: {dataset: (writer of its raw files, options)}."""

from curate_fixtures.raw import (
    write_diode,
    write_folder,
    write_ibims1,
    write_nyuv2,
    write_published,
)
from curate_fixtures.raw_sun_kitti import write_kitti, write_sunrgbd
from curate_fixtures.scene import POSES, Pinhole


def _folder(root):
    return write_folder(root, Pinhole(152.0, 148.0, 95.0, 80.0, 200, 150), POSES)


EVERY = {
    "depthlm": (write_published, ["--option", "depth_kind=z"]),
    "diode": (write_diode, []),
    "folder": (_folder, ["--option", "depth_scale=1000", "--option", "depth_kind=z"]),
    "ibims1": (write_ibims1, []),
    "kitti": (write_kitti, []),
    "nyuv2": (write_nyuv2, []),
    "nyuv2_sunrgbd": (write_sunrgbd, []),
    "sunrgbd": (write_sunrgbd, []),
}
