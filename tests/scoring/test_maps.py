"""Scores of whole maps: each planted error is seen by the score that is about it, by no other."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from depthlm_plugin.cli import main
from depthlm_plugin.errors import DepthLMError
from depthlm_plugin.scoring.map_files import read_map, score_files
from depthlm_plugin.scoring.maps import mean_of, score_map


def room() -> np.ndarray:
    """z (H, W) of a floor, a back wall at 30 m and a box at 2.5 m."""
    y, _x = np.mgrid[:120, :160].astype(float)
    floor = 1.4 / np.maximum((y - 50.3) / 100, 1e-9)
    z_m = np.minimum(floor, 30.0)
    z_m[60:100, 30:70] = 2.5
    return z_m


TRUTH = room()
GOOD = score_map(TRUTH, TRUTH, quantity="z")


def test_the_truth_itself() -> None:
    assert pytest.approx(
        {
            "delta1": 1, "abs_rel": 0, "rmse_m": 0, "silog": 0, "edge_f1": 1, "wrong_order": 0,
            "plane_noise": 0, "far_slope": 1, "coverage": 1,
        },
        abs=1e-3,
    ) == GOOD  # fmt: skip


def changed(predicted: np.ndarray) -> set[str]:
    """The scores that differ from those of the truth."""
    scores = score_map(predicted, TRUTH, quantity="z")
    return {name for name in GOOD if abs(scores[name] - GOOD[name]) > 5e-3}


def test_scale() -> None:
    assert changed(TRUTH * 1.3) == {"delta1", "abs_rel", "rmse_m"}
    assert score_map(TRUTH * 1.3, TRUTH, quantity="z")["abs_rel"] == pytest.approx(0.3)


def test_compression() -> None:
    scores = score_map(TRUTH**0.5, TRUTH, quantity="z")
    assert scores["far_slope"] == pytest.approx(0.5)
    assert scores["wrong_order"] == 0


def test_edges_moved_by_two_pixels() -> None:
    moved = TRUTH.copy()
    moved[60:100, 30:32] = TRUTH[60:100, 28:30]
    found = score_map(moved, TRUTH, quantity="z")
    assert found["edge_f1"] < 0.9
    assert found["delta1"] > 0.99
    assert found["far_slope"] == pytest.approx(1, abs=0.02)


def test_noise_makes_planes_rough_and_orders_wrong() -> None:
    noisy = TRUTH * np.exp(0.05 * np.random.default_rng(0).standard_normal(TRUTH.shape))
    found = score_map(noisy, TRUTH, quantity="z")
    assert found["plane_noise"] == pytest.approx(0.05, rel=0.15)
    assert 0 < found["wrong_order"] < 0.2
    assert found["silog"] == pytest.approx(5, rel=0.05)
    assert found["delta1"] == 1


def test_orders_turned_round() -> None:
    assert score_map(1 / TRUTH, TRUTH, quantity="z")["wrong_order"] == 1
    assert score_map(np.full_like(TRUTH, 3.0), TRUTH, quantity="z")["wrong_order"] == 1


def test_what_is_absent() -> None:
    told, truth = TRUTH.copy(), TRUTH.copy()
    told[:60] = np.nan
    told[60:70] = 0
    truth[110:] = 0
    scores = score_map(told, truth, quantity="z")
    assert scores["coverage"] == pytest.approx(40 / 110)
    assert scores["delta1"] == 1
    assert score_map(np.zeros_like(TRUTH), TRUTH, quantity="z") == {"coverage": 0}
    with pytest.raises(DepthLMError, match="no depth at all"):
        score_map(TRUTH, np.zeros_like(TRUTH), quantity="z")
    with pytest.raises(DepthLMError, match="160x120 and the truth 160x119"):
        score_map(TRUTH, TRUTH[1:], quantity="z")


def test_distances_have_no_planes() -> None:
    assert "plane_noise" not in score_map(TRUTH, TRUTH, quantity="distance")


def test_means_of_pictures() -> None:
    scores = {f"p{at}": {"delta1": at / 10, "coverage": 1.0} for at in range(11)}
    scores["p0"]["edge_f1"] = 0.5
    means, intervals = mean_of(scores)
    assert means == pytest.approx({"delta1": 0.5, "edge_f1": 0.5, "coverage": 1.0})
    low, high = intervals["delta1"]
    assert low < 0.5 < high
    assert "edge_f1" not in intervals


def save(path, array, note=None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".png":
        from PIL.PngImagePlugin import PngInfo

        info = PngInfo()
        if note:
            info.add_text("depthlm", json.dumps(note))
        Image.fromarray(np.rint(array * 1000).astype(np.uint16)).save(path, pnginfo=info)
    elif path.suffix == ".npz":
        np.savez(path, **{note: array})
    elif path.suffix == ".npy":
        np.save(path, array)
    else:
        Image.fromarray(array.astype(np.float32)).save(path)


NOTE = {"quantity": "z", "metres_per_unit": 0.001}


def test_folders_are_held_together_by_name(tmp_path, capsys) -> None:
    for name in ("a", "sub/b"):
        save(tmp_path / "told" / f"{name}.png", TRUTH * 1.1, NOTE)
        save(tmp_path / "true" / f"{name}.npz", TRUTH, "z_m")
    assert main(["score", str(tmp_path / "told"), "--truth", str(tmp_path / "true"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert sorted(said["maps"]) == ["a", "sub/b"]
    assert said["mean"]["abs_rel"] == pytest.approx(0.1, rel=1e-3)
    assert main(["score", str(tmp_path / "told"), "--truth", str(tmp_path / "true")]) == 0
    assert "mean of 2 maps" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("told", "true", "more", "message"),
    [
        (("a.png", NOTE), ("a.npz", "distance_m"), {}, "z and .* distance"),
        (("a.png", NOTE), ("a.npy", None), {}, "give --quantity"),
        (("a.png", None), ("a.npz", "z_m"), {"quantity": "z"}, "give --scale"),
        (("a.png", NOTE), ("a.npz", "z_m"), {"scale_m": 0.01}, "--scale is 0.01"),
        (("a.npz", "z_m"), ("a.png", None), {"quantity": "z"}, "give --truth-scale"),
        (("a.png", {"metres_per_unit": "1"}), ("a.npz", "z_m"), {}, "note of units"),
        (("a.png", NOTE), ("b.npz", "z_m"), {}, "needs its pair"),
        (("a.png", NOTE), ("a.npz", "z_m"), {"quantity": "distance"}, "z_m|says that it holds z"),
    ],
)
def test_what_is_not_said_is_asked_for(tmp_path, told, true, more, message) -> None:
    save(tmp_path / "told" / told[0], TRUTH, told[1])
    save(tmp_path / "true" / true[0], TRUTH, true[1])
    with pytest.raises(DepthLMError, match=message):
        score_files(tmp_path / "told", tmp_path / "true", **more)


def test_what_files_do_not_say_can_be_stated(tmp_path) -> None:
    save(tmp_path / "a.png", TRUTH)
    save(tmp_path / "b.tiff", TRUTH)
    [scores] = score_files(tmp_path / "a.png", tmp_path / "b.tiff", "z", 0.001).values()
    assert scores["abs_rel"] < 0.001


@pytest.mark.parametrize("name", ["a.png", "a.npz", "a.npy", "a.tiff"])
def test_unreadable_maps(tmp_path, name) -> None:
    (tmp_path / name).write_bytes(b"\x89PNG no")
    with pytest.raises(DepthLMError, match="cannot be read"):
        read_map(tmp_path / name)


def test_a_scale_is_never_ignored(tmp_path) -> None:
    save(tmp_path / "mm.npy", TRUTH * 1000)
    save(tmp_path / "m.npy", TRUTH)
    [scores] = score_files(tmp_path / "mm.npy", tmp_path / "m.npy", "z", 0.001).values()
    assert scores["abs_rel"] < 1e-6
    [scores] = score_files(tmp_path / "m.npy", tmp_path / "mm.npy", "z", None, 0.001).values()
    assert scores["abs_rel"] < 1e-6


def test_colours_of_a_palette_are_no_depths(tmp_path) -> None:
    Image.new("P", (4, 3)).save(tmp_path / "a.png")
    with pytest.raises(DepthLMError, match="colours, not depths"):
        read_map(tmp_path / "a.png", 0.001)


def test_a_colour_picture_is_no_map(tmp_path) -> None:
    Image.new("RGB", (4, 3)).save(tmp_path / "a.png")
    with pytest.raises(DepthLMError, match="one number a pixel"):
        read_map(tmp_path / "a.png", 0.001)


def test_a_scale_without_maps_is_refused(capsys) -> None:
    assert main(["score", "x.jsonl", "--scale", "0.001"]) == 1
    assert "--truth" in capsys.readouterr().err
