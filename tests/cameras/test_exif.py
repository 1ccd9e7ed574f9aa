"""The focal length of EXIF blocks: what cameras write, and what cannot be believed."""

from __future__ import annotations

import math

import pytest
from PIL.TiffImagePlugin import IFDRational

from depthlm_plugin.cameras.exif import focal_of

F, F35 = 0x920A, 0xA405
X_RES, Y_RES, RES_UNIT = 0xA20E, 0xA20F, 0xA210
X_DIM, Y_DIM, ZOOM = 0xA002, 0xA003, 0xA404
TAKEN = {X_DIM: 4000, Y_DIM: 3000}
SIZE = (4000, 3000)
BY_26 = 26 * 5000 / math.hypot(36, 24)  # the diagonal of 4000x3000 is 5000


@pytest.mark.parametrize(
    ("size_wh", "focal_px"),
    [
        (SIZE, BY_26),
        ((3000, 4000), BY_26),  # turned upright by a program that left the former size
        ((1000, 750), BY_26 / 4),
        ((1333, 1000), BY_26 * math.hypot(1333, 1000) / 5000),  # rounded to whole pixels
        ((8000, 6000), BY_26 * 2),
    ],
)
def test_a_35_mm_equivalent_is_of_the_diagonal(size_wh, focal_px) -> None:
    found = focal_of(TAKEN | {F35: 26}, size_wh)
    assert found.focal_px == pytest.approx(focal_px)
    assert found.detail == "its 35 mm equivalent, 26 mm (by the diagonal)"
    assert found.problems == ()


def test_35_mm_film_itself() -> None:
    """36 mm across 3600 px: 50 mm are 5000 px."""
    found = focal_of({X_DIM: 3600, Y_DIM: 2400, F35: 50}, (3600, 2400))
    assert found.focal_px == pytest.approx(5000)


@pytest.mark.parametrize(
    ("unit", "per_mm"), [(2, 1 / 25.4), (3, 1 / 10), (4, 1.0), (5, 1000.0), (None, 1 / 25.4)]
)
@pytest.mark.parametrize(("size_wh", "shrunk"), [(SIZE, 1.0), ((1000, 750), 0.25)])
def test_a_focal_length_with_the_resolution_of_the_focal_plane(unit, per_mm, size_wh, shrunk):
    """6.4 mm on a sensor of 8 mm with 4000 px: 500 px a millimetre."""
    tags = TAKEN | {F: 6.4, X_RES: 500 / per_mm, Y_RES: 500 / per_mm}
    if unit is not None:
        tags[RES_UNIT] = unit
    found = focal_of(tags, size_wh)
    assert found.focal_px == pytest.approx(3200 * shrunk)
    assert found.detail == "its focal length, 6.4 mm, on 8 mm (focal plane resolution)"


def test_a_sensor_that_somebody_knows_comes_first() -> None:
    tags = TAKEN | {F: 6.4, F35: 28}
    found = focal_of(tags, SIZE, sensor_width_mm=8.0)
    assert found.focal_px == pytest.approx(3200)
    assert found.detail == "its focal length, 6.4 mm, on a sensor of 8 mm"
    other = focal_of(tags, SIZE, sensor_width_mm=30.0)
    assert other.focal_px == pytest.approx(6.4 / 30 * 4000)
    assert "but its 35 mm equivalent, 28 mm (by the diagonal) is 3236 px" in other.problems[0]
    assert focal_of(TAKEN | {F35: 26}, SIZE, 8.0).focal_px == pytest.approx(BY_26)


RESOLUTION = {F: 6.4, X_RES: 500, Y_RES: 500, RES_UNIT: 4}


@pytest.mark.parametrize(
    ("tags", "size_wh", "problem"),
    [
        pytest.param({}, SIZE, "nothing usable tells its focal length", id="empty"),
        pytest.param({F35: 0}, SIZE, "FocalLengthIn35mmFilm is 0, unknown", id="zero"),
        pytest.param({F35: "wide"}, SIZE, "FocalLengthIn35mmFilm is 'wide', no length", id="text"),
        pytest.param({F35: -26}, SIZE, "is '-26', no length", id="negative"),
        pytest.param({F35: 65535}, SIZE, "field of view of 0.0303 degrees: not used", id="tele"),
        pytest.param({F35: 1}, SIZE, "field of view of 173 degrees: not used", id="wide"),
        pytest.param({F: IFDRational(0, 0)}, SIZE, "FocalLength is 'nan', no length", id="0/0"),
        pytest.param({F: 6.4}, SIZE, "nothing usable", id="focal length alone"),
        pytest.param(RESOLUTION | {X_RES: 0}, SIZE, "FocalPlaneXResolution is 0", id="no res"),
        pytest.param(
            RESOLUTION | {RES_UNIT: 9}, SIZE, "FocalPlaneResolutionUnit 9 is no unit", id="unit"
        ),
        pytest.param(
            RESOLUTION | {RES_UNIT: 2}, SIZE, "makes the sensor 203 mm wide, which none", id="inch"
        ),
        pytest.param(
            RESOLUTION | {Y_RES: 400}, SIZE, "contradict each other: pixels are", id="oblong"
        ),
        pytest.param(RESOLUTION | {ZOOM: 2}, SIZE, "a digital zoom of 2: FocalLength", id="zoom"),
        pytest.param(
            RESOLUTION | {F35: 50},
            SIZE,
            "is 5778 px, but its focal length, 6.4 mm, on 8 mm (focal plane resolution) is 3200 px:"
            " neither was used",
            id="contradiction",
        ),
        pytest.param(
            {F35: 26}, (4000, 2250), "taken at 4000x3000 and is 4000x2250: it was", id="cropped"
        ),
        pytest.param({F35: 26}, (9000, 3000), "looks like a panorama", id="panorama"),
    ],
)
def test_what_cannot_be_believed_is_told_and_not_used(tags, size_wh, problem) -> None:
    found = focal_of(TAKEN | tags, size_wh)
    assert (found.focal_px, found.detail) == (None, "")
    assert any(problem in told for told in found.problems), found.problems


def test_what_could_not_be_checked_is_told() -> None:
    for taken in ({}, {X_DIM: 0, Y_DIM: 0}):
        found = focal_of(taken | {F35: 26}, SIZE)
        assert found.focal_px == pytest.approx(BY_26)
        assert "a crop would go unnoticed" in found.problems[-1]
    zoomed = focal_of(TAKEN | {F35: 52, ZOOM: IFDRational(2, 1)}, SIZE)
    assert zoomed.focal_px == pytest.approx(2 * BY_26)
    assert "digital zoom of 2" in zoomed.problems[0]
    assert focal_of(TAKEN | {F35: 26, ZOOM: IFDRational(0, 1)}, SIZE).problems == ()
