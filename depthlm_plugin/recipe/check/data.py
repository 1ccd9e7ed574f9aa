"""Checks of the datasets: listed, there, in metres, enough, and apart from those of evaluation."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from ...errors import ConfigError, DepthLMError, RecordError, did_you_mean
from ...records import storage
from ...records.raw import parse_row
from ...records.rows import Rows
from ...records.splits import Group, GroupBy, Leak, Side, image_paths, shared_groups, shared_images
from ...records.stated import Stated
from ...records.units import check_units
from .finding import Finding, error, left_out, warning
from .settings import HOST_MAX_PIXELS, Settings

FORMATTING = "depthlm"
_KEYS = ("dataset", "eval_dataset")
_LOOKED_AT = 200  # rows of a file whose images' sizes are looked at
_FEW_STEPS = 20
_OFTEN = 20  # times each record
_HOST_EPOCHS = 3  # transformers' num_train_epochs


def datasets_are_listed(recipe: Settings) -> Iterator[Finding]:
    """Yield names that `dataset_info.json` does not have, and entries without depth."""
    names = [name for key in _KEYS for name in recipe.names(key)]
    try:
        info = _info(recipe)
    except ConfigError as problem:
        if names:
            yield error("dataset_dir", str(problem), "dataset_dir: FOLDER")
        return
    if info is None:
        yield left_out("dataset_dir", "is remote: its datasets were not looked at")
        return
    for key in _KEYS:
        for name in recipe.names(key):
            if name not in info:
                guess = did_you_mean(name, list(info))
                yield error(key, f"{name!r} is not in {_path(recipe)}{guess}")
    found = [info[name] for name in names if isinstance(info.get(name), dict)]
    if found and all(entry.get("formatting") != FORMATTING for entry in found):
        yield error(
            "depthlm",
            'none of the datasets has "formatting": "depthlm" in dataset_info.json: they would be'
            " trained on as ordinary chats",
        )


def datasets_are_there(recipe: Settings) -> Iterator[Finding]:
    """Yield records that are missing, empty, or in no metres, and images that are not found."""
    for key, name, entry in _depth_entries(recipe):
        path = _records(recipe, entry)
        if path is None:
            yield error(key, f"{name!r} has no file_name in {_path(recipe)}")
            continue
        if storage.is_remote(path):
            yield left_out(key, f"{name} is remote: its records were not looked at")
            continue
        options = entry.get("depthlm")
        options = options if isinstance(options, dict) else {}
        try:
            rows = recipe.rows(path)
            check_units(rows, Stated.of(options, f"dataset {name!r}"), path)
            yield from _images_are_there(recipe, key, path, rows)
        except DepthLMError as problem:
            yield error(key, f"{name!r}: {problem}")


def whole_images_fit(recipe: Settings) -> Iterator[Finding]:
    """Yield evaluation images that are larger, at the focal length, than what may be shown."""
    config, family = recipe.config, recipe.seen.family
    if config is None or family is None or family.fixed_wh:
        return
    allowed = int(recipe.number("image_max_pixels", HOST_MAX_PIXELS))
    for key, name, entry in _depth_entries(recipe):
        path = _records(recipe, entry)
        if key != "eval_dataset" or path is None or storage.is_remote(path):
            continue
        try:
            width, height, where = max(
                _whole_views(recipe.rows(path), config.focal_px),
                key=lambda view: view[0] * view[1],
                default=(0, 0, ""),
            )
        except DepthLMError:
            continue  # `datasets_are_there` says what is wrong with the file
        if width * height > allowed:
            yield error(
                "image_max_pixels",
                f"{name!r} shows whole images, the largest {width}x{height} at f ="
                f" {config.focal_px:g} ({where}, of {_LOOKED_AT} rows): it would be refused",
                f"image_max_pixels: {width * height}",
            )


def sides_are_apart(recipe: Settings) -> Iterator[Finding]:
    """Yield files, images and scenes that are both trained on and evaluated on."""
    if not recipe.trains:
        return
    paths: dict[str, dict[str, str]] = {key: {} for key in _KEYS}
    for key, name, entry in _depth_entries(recipe):
        path = _records(recipe, entry)
        if path and not storage.is_remote(path):
            paths[key][str(Path(path).resolve())] = name
    train, evaluation = (paths[key] for key in _KEYS)
    for path in train.keys() & evaluation.keys():
        yield error("eval_dataset", f"{evaluation[path]!r} is trained on as well, as"
                    f" {train[path]!r}: depthlm split makes two sides of one file")  # fmt: skip
    only = {"train": train.keys() - evaluation.keys(), "eval": evaluation.keys() - train.keys()}
    if not all(only.values()):
        return
    sides = {side: _side(recipe, files) for side, files in only.items()}

    def again() -> Iterator[tuple[str, str, str]]:
        return ((side, *row) for side, files in only.items() for row in _texts(recipe, files))

    of = f" (of the first {recipe.compared} rows of each file)"
    try:
        images = shared_images(sides["train"], sides["eval"], again)
    except DepthLMError:
        return  # `datasets_are_there` says what is wrong with the file
    if images:
        yield error("eval_dataset", f"{len(images)} images are trained on as well, {_first(images)}"
                    f"{of}; depthlm split keeps scenes apart")  # fmt: skip
        return
    groups = shared_groups(sides["train"], sides["eval"])
    if groups:
        yield warning("eval_dataset", f"{len(groups)} scenes are trained on as well,"
                      f" {_first(groups)}{of}; depthlm split keeps scenes apart")  # fmt: skip


def steps_suit_the_data(recipe: Settings) -> Iterator[Finding]:
    """Yield too few steps to learn, or so many that records are learnt by heart."""
    config, batch = recipe.config, recipe.effective_batch
    if not recipe.trains or config is None or config.mixture or recipe.get("interleave_probs"):
        return
    points = config.points_per_record
    rows = _rows_to_train_on(recipe)
    if not rows or not batch or not isinstance(points, int):
        return
    samples = rows * points
    most = int(recipe.number("max_steps", -1))
    epochs = recipe.number("num_train_epochs", _HOST_EPOCHS)
    steps = most if most > 0 else max(int(samples * epochs / batch), 1)
    epochs = steps * batch / samples
    said = f"{rows} records, {batch} samples a step"
    if steps < _FEW_STEPS:
        yield warning(
            "max_steps" if most > 0 else "num_train_epochs",
            f"{steps} steps in all ({said}): too few to learn from; more data, or fewer"
            " gradient_accumulation_steps",
        )
    if epochs > _OFTEN:
        yield warning(
            "max_steps" if most > 0 else "num_train_epochs",
            f"every record is used {epochs:.0f} times in {steps} steps ({said}); the paper never"
            " repeats one",
        )
    warm_up = recipe.number("warmup_steps", 0)
    if warm_up >= steps and warm_up >= 1:
        yield warning("warmup_steps", f"the rate would rise during all {steps} steps ({said})",
                      "warmup_steps: 0.1")  # fmt: skip
    every = recipe.number("eval_steps", 0)
    if recipe.get("eval_strategy") == "steps" and every > steps:
        yield warning("eval_steps", f"nothing is evaluated within {steps} steps ({said})",
                      f"eval_steps: {max(steps // 10, 1)}")  # fmt: skip


def _path(recipe: Settings) -> Path:
    return Path(str(recipe.get("dataset_dir") or "data"), "dataset_info.json")


def _info(recipe: Settings) -> Mapping[str, Any] | None:
    """Return the entries of `dataset_info.json`, or None where it is remote.

    Raises:
        ConfigError: For one that is not there, or cannot be read.
    """
    folder = recipe.get("dataset_dir")
    if isinstance(folder, dict):
        return folder
    if str(folder or "").startswith(("ONLINE", "REMOTE:")):
        return None
    path = _path(recipe)
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise ConfigError(f"there is no {path}, which lists the datasets") from problem
    except ValueError as problem:
        raise ConfigError(f"{path} is not JSON: {problem}") from problem
    if not isinstance(info, dict):
        raise ConfigError(f"{path} must map names to datasets")
    return info


def _depth_entries(recipe: Settings) -> list[tuple[str, str, dict[str, Any]]]:
    """Return (key, name, entry) of the depth datasets that are listed."""
    try:
        info = _info(recipe) or {}
    except ConfigError:
        return []
    return [
        (key, name, info[name])
        for key in _KEYS
        for name in recipe.names(key)
        if isinstance(info.get(name), dict) and info[name].get("formatting") == FORMATTING
    ]


def _records(recipe: Settings, entry: Mapping[str, Any]) -> str | None:
    name = entry.get("file_name")
    if not name:
        return None
    return str(name) if storage.is_remote(str(name)) else str(_path(recipe).parent / str(name))


def _images_are_there(recipe: Settings, key: str, path: str, rows: Rows) -> Iterator[Finding]:
    where, raw = rows[0]
    record = parse_row(raw, where) if isinstance(raw, str) else raw
    roots = [recipe.get("media_dir"), storage.folder_of(path), recipe.get("dataset_dir") or "data"]
    tried = [str(root) for root in roots if root]
    for image in image_paths(record):
        if storage.is_remote(image) or any(Path(root, image).is_file() for root in tried):
            continue
        if Path(f"/{image}").is_file():
            continue  # it was absolute
        yield error(key, f"{where}: there is no image {image} in {', '.join(dict.fromkeys(tried))}",
                    "media_dir: FOLDER")  # fmt: skip


def _whole_views(rows: Rows, focal_px: float) -> Iterator[tuple[int, int, str]]:
    """Yield (width, height, where) of whole images at a focal length, of some rows evenly spaced.

    Rows that cannot be read are left to whoever uses them.
    """
    for row in range(0, len(rows), max(1, len(rows) // _LOOKED_AT)):
        where, raw = rows[row]
        try:
            record = parse_row(raw, where) if isinstance(raw, str) else raw
            fx, fy, _, _, width, height = map(float, record["intrinsics"])
            yield round(width * focal_px / fx), round(height * focal_px / fy), where
        except (RecordError, KeyError, TypeError, ValueError, ArithmeticError):
            continue


def _texts(recipe: Settings, files: Iterable[str]) -> Iterator[tuple[str, str]]:
    for path in sorted(files):
        for where, raw in islice(recipe.rows(path), recipe.compared):
            yield where, raw if isinstance(raw, str) else json.dumps(raw, default=str)


def _side(recipe: Settings, files: Iterable[str]) -> Side:
    """Return the images of files, and the scenes of those records that name one."""
    side, by = Side(), GroupBy()
    with suppress(DepthLMError):  # `datasets_are_there` says what is wrong with the file
        for where, text in _texts(recipe, files):
            with suppress(RecordError):  # left to whoever uses the row
                raw = parse_row(text, where)
                group: Group = ()
                with suppress(RecordError):
                    group = by.group(raw, where)
                side.add(raw, group, where)
    side.rows.pop((), None)
    return side


def _first(leaks: list[Leak]) -> str:
    return f"as {leaks[0].what} ({leaks[0].train} and {leaks[0].eval})"


def _rows_to_train_on(recipe: Settings) -> int:
    """Return how many records are trained on; 0 where that is not known."""
    count = 0
    for key, _, entry in _depth_entries(recipe):
        path = _records(recipe, entry)
        if key != "dataset":
            continue
        if path is None or storage.is_remote(path):
            return 0
        try:
            count += len(recipe.rows(path))
        except DepthLMError:
            return 0
    return count
