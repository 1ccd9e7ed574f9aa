import math

import numpy as np
import pytest

from depthlm_plugin.curate.pipeline.audit import AWAY, BESIDE, audit_lines, count_camera
from depthlm_plugin.curate.pipeline.counts import Counts
from depthlm_plugin.geometry.camera import Camera
from depthlm_plugin.geometry.lens import Lens


def counted():
    """Return counts of four records of two cameras."""
    counts = Counts(frames=5, records=4, points=8, repeats=1)
    counts.add_depths(np.array([0.7, 1.1, 1.3, 1.7, 1.9, 5.0, 5.1, 30.0]))
    counts.edges.update({BESIDE: 2, AWAY: 6})
    for focal_px in (500.0, 500.04, 500.0, 1234.0):
        count_camera(counts, Camera(focal_px, focal_px, 319.5, 239.5, (640, 480)))
    return counts


def test_the_audit():
    lines = audit_lines(counted())
    assert lines[2:8] == [
        "| 0.5 to 1 | 12.5 % | ██ |",
        "| 1 to 2 | 50.0 % | ██████████ |",
        "| 2 to 4 | 0.0 % |  |",
        "| 4 to 8 | 25.0 % | █████ |",
        "| 8 to 16 | 0.0 % |  |",
        "| 16 to 32 | 12.5 % | ██ |",
    ]
    narrow, wide = (2 * math.degrees(math.atan(320 / fx)) for fx in (1234, 500))
    for line in (
        "| Beside a depth edge | 25.0 % of 8 points whose frames have a depth map |",
        f"| Horizontal field of view, degrees | {narrow:.3g} to {wide:.3g}, median {wide:.3g} |",
        "| Focal length fx, pixels | 500 to 1.23e+03, median 500 |",
        "| Picture sizes (records) | 640x480 (4) |",
    ):
        assert line in lines
    assert lines[-1].startswith("| Near-duplicates | 1 of 4 records (25.0 %), like one before in")


def test_counts_add_up_and_survive_json():
    one, other = counted(), counted()
    other.scenes, other.messages = {"b"}, ["bad"]
    one.add(Counts.from_json(other.to_json()))
    assert (one.repeats, one.focals_px["500"], one.edges[AWAY], one.scenes) == (2, 6, 12, {"b"})
    assert Counts.from_json(one.to_json()) == one
    assert Counts().to_json() == {}


@pytest.mark.parametrize(
    ("lens", "wider"), [(Lens("opencv", (0.1, 0, 0, 0)), -1), (Lens("opencv", (-0.1, 0, 0, 0)), 1)]
)
def test_the_field_of_view_is_that_behind_the_lens(lens, wider):
    plain, bent = Counts(), Counts()
    count_camera(plain, Camera(500.0, 500.0, 319.5, 239.5, (640, 480)))
    count_camera(bent, Camera(500.0, 500.0, 319.5, 239.5, (640, 480), lens))
    [plain_deg], [bent_deg] = map(float, plain.fields_deg), map(float, bent.fields_deg)
    assert 0.3 < wider * (bent_deg - plain_deg) < 5


def test_a_lens_model_that_ends_inside_the_picture_is_said():
    counts = counted()
    strong = Lens("opencv", (-0.9, 0, 0, 0))
    count_camera(counts, Camera(500.0, 500.0, 319.5, 239.5, (640, 480), strong))
    assert "; 1 whose lens model ends inside the picture |" in "\n".join(audit_lines(counts))
