"""Scenes as files: pictures, records as training reads them, depth maps.

A scene depends on its domain, its seed and its number only, so that neither the number of scenes
nor that of worker processes changes a byte of it.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import ConfigError, did_you_mean
from ..geometry.arrays import Floats
from ..records.atomic import whole_file, whole_folder
from .domains import DOMAINS, Domain
from .render import Picture, render
from .view import Rig, View, moved_view, random_view
from .world import World

RECORDS = "records.jsonl"
_INFO = "dataset_info.json"
_TRIES = 50
_LEAST_SHARE = 0.25  # of the pixels of a view that could be labelled, else it is another scene
_EDGE = 1.1  # a pixel is at a depth edge where its neighbours differ by more than this factor
_CHUNK = 8
_FASTEST_M_S, _SLOWEST_M_S = 3.0, 0.5


@dataclass(frozen=True)
class Wanted:
    """Which scenes to write, and how.

    Attributes:
        domain: A name in `DOMAINS`.
        scenes: How many.
        seed: Any whole number from 0.
        start: Number of the first; other numbers or another seed are other scenes.
        size_px: About the width of a picture.
        points: Most labelled pixels of a picture.
        views: Pictures of a scene, 1 or 2.
        depth_maps: Whether to write the distance of every pixel.
        rig: How its cameras differ.

    Raises:
        ConfigError: For what cannot be written.
    """

    domain: str
    scenes: int
    seed: int = 0
    start: int = 0
    size_px: int = 200
    points: int = 10
    views: int = 1
    depth_maps: bool = False
    rig: Rig = field(default_factory=Rig)

    def __post_init__(self) -> None:
        if self.domain not in DOMAINS:
            guess = did_you_mean(self.domain, list(DOMAINS))
            raise ConfigError(f"--domain {self.domain!r} is no kind of scene{guess}")
        for option, value, least, most in (
            ("n", self.scenes, 1, 10_000_000),
            ("seed", self.seed, 0, 2**32 - 1),
            ("start", self.start, 0, 2**32 - 1),
            ("size", self.size_px, 48, 4096),
            ("points", self.points, 1, 1000),
            ("views", self.views, 1, 2),
        ):
            if not least <= value <= most:
                raise ConfigError(f"--{option} must be from {least} to {most}, found {value}")
        for option, span, lowest, highest in (
            ("fov", self.rig.field_deg, 20, 130),
            ("height", self.rig.height_m or (1, 1), 0.2, 20),
            ("pitch", self.rig.pitch_deg, -60, 60),
            ("roll", self.rig.roll_deg, -180, 180),
        ):
            if not lowest <= span[0] <= span[1] <= highest:
                raise ConfigError(
                    f"--{option} must be two numbers from {lowest} to {highest}, the lower first,"
                    f" found {span[0]:g} {span[1]:g}"
                )

    @property
    def name(self) -> str:
        """The name of the dataset, and of its folder."""
        return f"{self.domain}_{self.seed}_{self.start}"


def write_scenes(
    out: Path, wanted: Wanted, *, workers: int = 1, progress: Callable[[int], object] | None = None
) -> Path:
    """Write scenes to the folder `out`/NAME and list them in `out`/dataset_info.json.

    The folder holds `records.jsonl`, `images/NNNNNN_V.png` and, where wanted, `depth/NNNNNN_V.npy`:
    the distance (H, W) in metres, float32, inf where there is sky. It appears when it is whole.

    Args:
        out: The dataset folder, which may hold other datasets.
        wanted: Which scenes.
        workers: Processes that render.
        progress: Called with the number of scenes written, after each.

    Returns:
        The JSONL file.

    Raises:
        ConfigError: When the folder is there already, or `dataset_info.json` is none.
    """
    info = _info(out)
    folder = out / wanted.name
    if folder.exists():
        raise ConfigError(
            f"{folder} is there already; remove it, or choose another --seed, --start or --out"
        )
    out.mkdir(parents=True, exist_ok=True)
    with whole_folder(folder) as new:
        (new / "images").mkdir()
        if wanted.depth_maps:
            (new / "depth").mkdir()
        jobs = [(new, wanted, wanted.start + number) for number in range(wanted.scenes)]
        with (new / RECORDS).open("w", encoding="utf-8") as lines:
            for number, text in enumerate(_written(jobs, workers), 1):
                lines.write(text)
                if progress is not None:
                    progress(number)
    options: dict[str, Any] = {"depth_kind": "distance"}
    if wanted.views == 2:
        options["pair_rows"] = 1  # the other view of a scene is the row before or after
    entry = {
        "file_name": f"{wanted.name}/{RECORDS}",
        "formatting": "depthlm",
        "depthlm": options,
    }
    with whole_file(out / _INFO) as stream:
        stream.write(json.dumps({**info, wanted.name: entry}, indent=2) + "\n")
    return folder / RECORDS


@dataclass(frozen=True)
class Seen:
    """A view, its picture, and its labelled points (N, 3): x, y, distance in metres."""

    view: View
    picture: Picture
    points: Floats


def make_scene(wanted: Wanted, index: int) -> tuple[World, list[Seen]]:
    """Return the scene of this number: its world, and what each view shows of it."""
    domain = DOMAINS[wanted.domain]
    for attempt in range(_TRIES):
        key = [wanted.seed, zlib.crc32(wanted.domain.encode()), index, attempt]
        rng = np.random.default_rng(key)
        view = random_view(rng, wanted.size_px, wanted.rig, domain.height_m)
        views = [view, moved_view(rng, view, domain.step_m)][: wanted.views]
        world = domain.build(rng)
        pictures = [render(world, view, rng) for view in views]
        shares = [_usable(picture, domain).mean() for picture in pictures]
        if min(shares) >= _LEAST_SHARE:
            return world, [
                Seen(view, picture, _points(picture, domain, wanted.points, rng))
                for view, picture in zip(views, pictures, strict=True)
            ]
    raise AssertionError(f"no view of scene {index} of {wanted.domain} shows enough")


def _written(jobs: list[tuple[Path, Wanted, int]], workers: int) -> Iterator[str]:
    if workers == 1:
        yield from map(_write, jobs)
        return
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        yield from pool.imap(_write, jobs, _CHUNK)


def _write(job: tuple[Path, Wanted, int]) -> str:
    """Write the files of one scene; return its lines of the records."""
    folder, wanted, index = job
    lines = []
    seconds = 0.0
    last_m: Floats | None = None
    speed = np.random.default_rng([wanted.seed, index]).uniform(_SLOWEST_M_S, _FASTEST_M_S)
    for number, seen in enumerate(make_scene(wanted, index)[1]):
        view, picture, points = seen.view, seen.picture, seen.points
        name = f"{index:06d}_{number}"
        Image.fromarray(picture.image).save(folder / f"images/{name}.png", compress_level=1)
        if wanted.depth_maps:
            np.save(folder / f"depth/{name}.npy", picture.distance_m.astype(np.float32))
        centre_m = view.pose[:3, 3]
        if last_m is not None:
            seconds = round(math.dist(centre_m, last_m) / speed, 6)
        last_m = centre_m
        record: dict[str, Any] = {
            "image": f"images/{name}.png",
            "intrinsics": [*view.camera.intrinsics, *view.camera.size_wh],
            "pixel_coords": points[:, :2].astype(int).tolist(),
            "depth": points[:, 2].round(6).tolist(),
            "depth_kind": "distance",
            "scene": f"{wanted.domain}-{wanted.seed}-{index:06d}",
            "pose": view.pose.tolist(),
            "timestamp": seconds,
        }
        lines.append(json.dumps(record) + "\n")
    return "".join(lines)


def _points(picture: Picture, domain: Domain, count: int, rng: np.random.Generator) -> Floats:
    """Return up to `count` points (N, 3), even over the logarithm of the distances that are there.

    One number is then not right often: a distance that many pixels have is not taken more often.
    """
    rows, columns = np.nonzero(_usable(picture, domain))
    found_m = picture.distance_m[rows, columns]
    logs = np.log(found_m)
    bins = np.floor((logs - logs.min()) / 0.05).astype(np.int64)
    weights = 1.0 / np.bincount(bins)[bins]
    chosen = rng.choice(
        len(found_m), min(count, len(found_m)), replace=False, p=weights / weights.sum()
    )
    return np.stack([columns[chosen], rows[chosen], found_m[chosen]], axis=1)


def _usable(picture: Picture, domain: Domain) -> NDArray[np.bool_]:
    """Return which pixels (H, W) can be labelled: in range, off depth edges and the border."""
    distance_m = picture.distance_m
    usable = np.zeros(distance_m.shape, dtype=np.bool_)
    near, far = distance_m[1:-1, 1:-1].copy(), distance_m[1:-1, 1:-1].copy()
    height, width = distance_m.shape
    for row in range(3):
        for column in range(3):
            part = distance_m[row : height - 2 + row, column : width - 2 + column]
            np.minimum(near, part, out=near)
            np.maximum(far, part, out=far)
    low, high = domain.range_m
    middle = distance_m[1:-1, 1:-1]
    usable[1:-1, 1:-1] = (far < _EDGE * near) & (middle >= low) & (middle <= high)
    return usable


def _info(out: Path) -> dict[str, Any]:
    path = out / _INFO
    if not path.exists():
        return {}
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{path} is not valid JSON ({error}); mend or remove it") from error
    if not isinstance(info, dict):
        raise ConfigError(f"{path} must be an object of datasets; mend or remove it")
    return info
