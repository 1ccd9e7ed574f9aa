"""The camera that is assumed of pictures without one."""

from __future__ import annotations

import math

import pytest
from PIL import Image

from depthlm_plugin.cameras.source import CameraSource
from depthlm_plugin.curate.formats.folder_camera import assumed_camera
from depthlm_plugin.errors import RecordError


def photograph(path, **tags) -> str:
    image, exif = Image.new("RGB", (400, 300)), Image.Exif()
    exif.get_ifd(0x8769).update(tags.get("block", {}))
    image.save(path, exif=exif)
    return str(path)


def test_exif_is_read_as_depthlm_predict_reads_it(tmp_path) -> None:
    """A 35 mm equivalent is by the diagonal: along the long side of 4:3 it would be 4 % less."""
    taken = {0xA405: 26, 0xA002: 400, 0xA003: 300}
    path = tmp_path / "a.jpg"
    photograph(path, block=taken)
    camera = assumed_camera("exif", path, (400, 300), "a.jpg")
    assert camera.fx == camera.fy == pytest.approx(26 * 500 / math.hypot(36, 24))
    assert camera == CameraSource().find(path).camera


@pytest.mark.parametrize("block", [{}, {0xA405: 0}, {0xA405: 26, 0xA002: 4000, 0xA003: 2000}])
def test_exif_that_tells_nothing_usable_is_refused(tmp_path, block) -> None:
    path = tmp_path / "a.jpg"
    photograph(path, block=block)
    with pytest.raises(RecordError, match="EXIF") as refused:
        assumed_camera("exif", path, (400, 300), "a.jpg")
    assert refused.value.reason == "no intrinsics"
