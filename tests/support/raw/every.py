"""One way to curate every dataset's fixture: {dataset: (writer of its raw files, options)}."""

from support.raw.driving import write_argoverse2, write_ddad, write_nuscenes
from support.raw.handheld import write_scannetpp, write_tum
from support.raw.indoor import HM3D, TASKONOMY, write_hypersim, write_matterport3d, write_omnidata
from support.raw.sfm import METRES, write_colmap, write_eth3d
from support.raw.small import write_diode, write_folder, write_ibims1, write_nyuv2, write_published
from support.raw.sun_kitti import write_kitti, write_sunrgbd
from support.raw.tables import rgbd_columns, write_depthvlm, write_shards
from support.raw.waymo import write_waymo
from support.scene import POSES, Pinhole


def _folder(root):
    return write_folder(root, Pinhole(152.0, 148.0, 95.0, 80.0, 200, 150), POSES)


def _taskonomy(root):
    return write_omnidata(root, "taskonomy", TASKONOMY)


def _hm3d(root):
    return write_omnidata(root, "hm3d", HM3D)


def _huggingface(root):
    return write_shards(root, rgbd_columns())


def _options(*options):
    return [part for option in options for part in ("--option", option)]


_VLM = "annotations/scannetpp/scannetpp_val.jsonl"

EVERY = {
    "argoverse2": (write_argoverse2, _options("cameras=ring_front_center")),
    "colmap": (write_colmap, _options(f"scale={METRES}")),
    "ddad": (write_ddad, []),
    "depthlm": (write_published, _options("depth_kind=z")),
    "depthvlm": (write_depthvlm, _options(f"file={_VLM}", "media_dir=datasets")),
    "diode": (write_diode, []),
    "eth3d": (write_eth3d, []),
    "folder": (_folder, _options("depth_scale=1000", "depth_kind=z")),
    "hm3d": (_hm3d, []),
    "huggingface": (_huggingface, _options("depth_scale=1000", "depth_kind=z")),
    "hypersim": (write_hypersim, ["--split", "all"]),
    "ibims1": (write_ibims1, []),
    "kitti": (write_kitti, []),
    "matterport3d": (write_matterport3d, []),
    "nuscenes": (write_nuscenes, []),
    "nyuv2": (write_nyuv2, []),
    "nyuv2_sunrgbd": (write_sunrgbd, []),
    "scannetpp": (write_scannetpp, []),
    "sunrgbd": (write_sunrgbd, []),
    "taskonomy": (_taskonomy, []),
    "tum": (write_tum, []),
    "waymo": (write_waymo, []),
}
