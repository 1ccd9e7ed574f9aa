"""What is written is exact, the same with any number of workers, and read as records."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from depthlm_plugin import DepthSamples
from depthlm_plugin.cli import main
from depthlm_plugin.errors import ConfigError
from depthlm_plugin.geometry.camera import Camera
from depthlm_plugin.records.pair import check_any
from depthlm_plugin.records.stated import Stated
from depthlm_plugin.scenes.domains import DOMAINS
from depthlm_plugin.scenes.write import Wanted, make_scene, write_scenes

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("domain", DOMAINS)
def test_labels_lie_on_what_they_show(domain: str) -> None:
    wanted = Wanted(domain, 1, seed=5, size_px=96, points=60, views=2)
    for index in range(6):
        world, both = make_scene(wanted, index)
        for seen_by in both:
            view, picture, points = seen_by.view, seen_by.picture, seen_by.points
            assert len(points)
            pixels, distance_m = points[:, :2], points[:, 2]
            z_m = distance_m / view.camera.distance_over_z(pixels)
            seen = view.pose[:3, :3] @ view.camera.unproject(pixels, z_m).T + view.centre_m
            gaps = np.stack([solid.shape.gap_m(seen) for solid in world.solids])
            shown = picture.solid[pixels[:, 1].astype(int), pixels[:, 0].astype(int)]
            assert np.abs(gaps[shown, np.arange(len(shown))]).max() < 1e-6
            assert gaps.min() > -1e-6  # no point is within a solid
            for share in np.linspace(0.01, 0.98, 60):  # and nothing stands before it
                between = view.centre_m + (seen - view.centre_m) * share
                assert min(solid.shape.gap_m(between).min() for solid in world.solids) > -1e-9


@pytest.mark.parametrize("domain", DOMAINS)
def test_light_reaches_what_is_lit(domain: str) -> None:
    agree, lit = [], []
    for index in range(6):
        world, (seen,) = make_scene(Wanted(domain, 1, seed=6, size_px=64), index)
        distance_m, solid = seen.picture.distance_m, seen.picture.solid
        rows, columns = np.nonzero(np.isfinite(distance_m))
        some = np.random.default_rng(0).choice(len(rows), 300, replace=False)
        rows, columns = rows[some], columns[some]
        points = seen.view.centre_m + seen.view.rays()[:, rows, columns] * distance_m[rows, columns]
        towards = np.array(world.light.at_m)[:, None] - points
        reach_m = np.linalg.norm(towards, axis=0)
        towards /= reach_m
        blocked, facing = np.zeros(len(some), bool), np.zeros(len(some), bool)
        for number, item in enumerate(world.solids):
            own = solid[rows, columns] == number
            facing[own] = (item.shape.normals(points)[:, own] * towards[:, own]).sum(axis=0) > 0
            if item.casts:
                blocked |= item.shape.hit(points + 1e-4 * towards, towards) < reach_m
        agree.append((seen.picture.lit[rows, columns] == (facing & ~blocked)).mean())
        lit.append((facing & ~blocked).mean())
    assert min(agree) > 0.97  # but for grazing light
    assert 0.05 < np.mean(lit) < 0.97


def test_two_views_have_one_world() -> None:
    for domain in DOMAINS:
        _, both = make_scene(Wanted(domain, 1, seed=2, size_px=160, views=2), 3)
        first, second = both[0].view, both[1].view
        picture, other = both[0].picture, both[1].picture
        rows, columns = np.nonzero(np.isfinite(picture.distance_m))
        rays = first.rays()[:, rows, columns]
        world_m = first.centre_m + rays * picture.distance_m[rows, columns]
        inside_m = second.pose[:3, :3].T @ (world_m - second.centre_m)
        pixels, shown = second.camera.try_project(inside_m.T)
        there = np.round(pixels[shown]).astype(int)
        expected_m = np.linalg.norm(inside_m, axis=0)[shown]
        found_m = other.distance_m[there[:, 1], there[:, 0]]
        agree = np.abs(found_m / expected_m - 1) < 0.03  # else something hides it
        assert shown.mean() > 0.3
        assert agree.mean() > 0.75


def test_workers_and_numbers_change_no_byte(tmp_path: Path) -> None:
    wanted = Wanted("warehouse", 5, seed=1, size_px=64, views=2, depth_maps=True)
    alone = write_scenes(tmp_path / "a", wanted).parent
    shared = write_scenes(tmp_path / "b", wanted, workers=2).parent
    files = sorted(path.relative_to(alone) for path in alone.rglob("*.*"))
    assert len(files) == 21
    assert all((alone / file).read_bytes() == (shared / file).read_bytes() for file in files)
    later = write_scenes(
        tmp_path / "a", Wanted("warehouse", 2, seed=1, start=3, size_px=64, views=2)
    )
    assert later.read_text().splitlines() == (alone / "records.jsonl").read_text().splitlines()[6:]
    assert list(json.loads((tmp_path / "a/dataset_info.json").read_text())) == [
        "warehouse_1_0",
        "warehouse_1_3",
    ]


def test_written_records_are_exact(tmp_path: Path) -> None:
    records = write_scenes(tmp_path, Wanted("street", 4, size_px=64, views=2, depth_maps=True))
    scenes = set()
    for row, line in enumerate(records.read_text().splitlines()):
        raw = json.loads(line)
        record, problems = check_any(raw, f"row {row}", row, Stated())
        assert problems == []
        assert record.pose is not None
        scenes.add(record.scene)
        with Image.open(records.parent / raw["image"]) as image:
            size_wh = image.size
        assert size_wh == Camera.from_intrinsics(raw["intrinsics"]).size_wh
        name = Path(raw["image"]).with_suffix(".npy").name
        distance_m = np.load(records.parent / "depth" / name)
        assert distance_m.dtype == np.float32
        for (x, y), depth_m in zip(raw["pixel_coords"], raw["depth"], strict=True):
            assert abs(distance_m[y, x] - depth_m) < 1e-5
    assert len(scenes) == 4


def test_tasks_of_two_pictures_find_the_other_view(tmp_path: Path) -> None:
    for domain in DOMAINS:
        records = write_scenes(tmp_path, Wanted(domain, 20, size_px=64, views=2))
        info = json.loads((tmp_path / "dataset_info.json").read_text())
        options = info[f"{domain}_0_0"]["depthlm"] | {"focal_px": 80, "points_per_record": 1}
        for task in ("relative_pose", "camera_translation"):
            samples = DepthSamples(records, tasks={task: 1.0}, **options)
            assert len(samples.usable()) >= 34  # of 40; the rest overlap too little


def test_domains_differ_and_nothing_is_as_red_as_a_mark() -> None:
    far_m, palettes = [], []
    for domain in DOMAINS:
        pictures = [
            make_scene(Wanted(domain, 1, size_px=96), index)[1][0].picture for index in range(24)
        ]
        far_m.append(
            np.median(
                [np.quantile(picture.distance_m, 0.7, method="lower") for picture in pictures]
            )
        )
        palettes.append([palette([p.image for p in pictures[half::2]]) for half in (0, 1)])
        red, green, blue = np.concatenate([p.image.reshape(-1, 3) for p in pictures]).T
        assert not ((red > 150) & (green < 80) & (blue < 80)).any()
    assert far_m[0] < far_m[2] < far_m[1]
    within = max(np.abs(first - second).sum() for first, second in palettes)
    between = [np.abs(palettes[a][0] - palettes[b][0]).sum() for a, b in ((0, 1), (0, 2), (1, 2))]
    assert min(between) > within


def palette(images: list[np.ndarray]) -> np.ndarray:
    """The share of each of 512 colours in pictures."""
    pixels = np.concatenate([image.reshape(-1, 3) for image in images]).astype(int) // 32
    counts = np.bincount(pixels @ (64, 8, 1), minlength=512)
    return counts / counts.sum()


def test_the_command_writes_what_validate_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["scenes", "--out", str(tmp_path), "--n", "6", "--domain", "indoor", "--size", "96"]
    assert main(command) == 0
    records = capsys.readouterr().out.strip()
    assert records == str(tmp_path / "indoor_0_0/records.jsonl")
    assert main(["validate", records]) == 0
    assert main(command) == 1
    assert "is there already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"domain": "indor"}, "did you mean 'indoor'"),
        ({"scenes": 0}, "--n must be from 1"),
        ({"size_px": 8}, "--size must be from 48"),
        ({"views": 3}, "--views must be from 1 to 2"),
    ],
)
def test_bad_wishes_are_refused(change: dict, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        Wanted(**{"domain": "indoor", "scenes": 1, **change})


def test_a_broken_dataset_info_is_refused(tmp_path: Path) -> None:
    (tmp_path / "dataset_info.json").write_text("{")
    with pytest.raises(ConfigError, match="is not valid JSON"):
        write_scenes(tmp_path, Wanted("indoor", 1))
    assert [path.name for path in tmp_path.iterdir()] == ["dataset_info.json"]


def test_cameras_are_within_the_ranges_asked_for(tmp_path: Path) -> None:
    asked = {"fov": (50, 60), "height": (1.2, 1.3), "pitch": (-15, -9), "roll": (2, 3)}
    said = ["--out", str(tmp_path), "--n", "30", "--domain", "indoor", "--size", "64"]
    for option, span in asked.items():
        said += [f"--{option}", *map(str, span)]
    assert main(["scenes", *said]) == 0
    found: dict[str, list[float]] = {option: [] for option in asked}
    for line in (tmp_path / "indoor_0_0" / "records.jsonl").read_text().splitlines():
        record = json.loads(line)
        fx, _, _, _, width, _ = record["intrinsics"]
        pose = np.array(record["pose"])
        right, _, ahead = pose[:3, :3].T  # in the world, whose y is down
        found["fov"].append(2 * np.degrees(np.arctan(width / 2 / fx)))
        found["height"].append(-pose[1, 3])
        found["pitch"].append(np.degrees(np.arcsin(-ahead[1])))
        level = np.cross([0, 1, 0], ahead)
        turn = np.degrees(np.arccos(right @ level / np.linalg.norm(level)))
        found["roll"].append(turn * np.sign(right[1]))  # clockwise: what is right goes down
    for option, (low, high) in asked.items():
        values = np.array(found[option])
        assert low - 0.01 <= values.min() < values.max() <= high + 0.01, option
        assert np.ptp(values) > 0.6 * (high - low), option


@pytest.mark.parametrize(
    "span", [("--height", "3", "1"), ("--fov", "10", "50"), ("--pitch", "nan", "1")]
)
def test_ranges_that_are_none_are_refused(
    span: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = ["--out", str(tmp_path), "--n", "1", "--domain", "indoor"]
    assert main(["scenes", *said, *span]) == 1
    assert f"{span[0]} must be two numbers from" in capsys.readouterr().err
