"""What a model's metres are multiplied by, learnt from answers whose truth is known.

A model that is 10 % short everywhere, or flattens what is far, is mended without training: by a
monotone map of its answers, saved beside the weights as `depthlm_calibration.json`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError
from ..geometry.arrays import Floats
from ..records.atomic import whole_file
from ..scoring.intervals import interval, picture_keys, weights

SAVED_AS = "depthlm_calibration.json"
FEWEST_POINTS, FEWEST_PICTURES = 200, 10  # that a calibration is learnt from
FEWEST_DIFFERENT = 10  # answers
_FORMAT = 1
_FOLDS = 5
_BIN = 25  # answers that a knot of an isotonic fit is the mean of, at least
_WITHIN = np.log(1.25)  # delta1
_SAMPLES, _SAMPLE_BYTES = 64, 65536  # of a weights file, read to tell it from others


@dataclass(frozen=True)
class Calibration:
    """A monotone map from metres as answered to metres as they are, straight in logarithms.

    Below the first knot and above the last an answer is multiplied by what that knot's is; a
    log-affine one has its own slope everywhere.

    Attributes:
        kind: `log-affine` or `isotonic`.
        answered_m: Knots, ascending: answers,
        true_m: and what they are to become, not descending.
    """

    kind: str
    answered_m: tuple[float, ...]
    true_m: tuple[float, ...]

    def __call__(self, value_m: float) -> float:
        """Return the calibrated value of an answer; one that is not above 0 is returned as it is.

        Args:
            value_m: The answer.
        """
        return float(self.of(np.array([value_m]))[0]) if value_m > 0 else value_m

    def of(self, values_m: Floats) -> Floats:
        """Return calibrated answers (N,) of answers (N,), all above 0."""
        said, true = np.log(self.answered_m), np.log(self.true_m)
        x = np.log(values_m)
        if self.kind == "log-affine":
            slope = (true[1] - true[0]) / (said[1] - said[0])
            return np.asarray(np.exp(true[0] + slope * (x - said[0])))
        inside = np.clip(x, said[0], said[-1])
        return np.asarray(np.exp(np.interp(inside, said, true) + x - inside))


@dataclass(frozen=True)
class Judged:
    """A kind of calibration, and how it does on pictures that it was not learnt from.

    Attributes:
        calibration: Learnt from all pictures.
        delta1: Of held-out answers, calibrated; each fold's by what the others taught.
        raw_delta1: Of the same answers as they were given.
        gain: 95 % interval of the difference, over pictures.
        points: Answers.
        pictures: Pictures.
    """

    calibration: Calibration
    delta1: float
    raw_delta1: float
    gain: tuple[float, float]
    points: int
    pictures: int

    @property
    def helps(self) -> bool:
        """Whether held-out delta1 is better, and not by the chance of the pictures."""
        return self.gain[0] > 0


def log_affine(answered_m: Floats, true_m: Floats) -> Calibration:
    """Return the least-squares line through the logarithms (N,), of slope .2 to 5."""
    x, y = np.log(answered_m), np.log(true_m)
    spread = float(((x - x.mean()) ** 2).sum())
    slope = float(((x - x.mean()) * (y - y.mean())).sum()) / spread if spread > 0 else 1.0
    slope = min(max(slope, 0.2), 5.0)  # answers that say nothing make no constant, and no leap
    knots = np.array([x.mean() - 1, x.mean() + 1])
    true = y.mean() + slope * (knots - x.mean())
    return Calibration("log-affine", _floats(np.exp(knots)), _floats(np.exp(true)))


def isotonic(answered_m: Floats, true_m: Floats) -> Calibration:
    """Return the least-squares monotone map between means of neighbouring answers (N,), in logs."""
    from scipy.optimize import isotonic_regression

    order = np.argsort(answered_m, kind="stable")
    x, y = np.log(answered_m[order]), np.log(true_m[order])
    _, first = np.unique(x, return_index=True)  # equal answers are not parted
    starts = [0]
    for at in first:
        if at - starts[-1] >= _BIN and len(x) - at >= _BIN:
            starts.append(int(at))
    sizes = np.diff([*starts, len(x)])
    knots = np.add.reduceat(x, starts) / sizes
    means = np.add.reduceat(y, starts) / sizes
    fitted = isotonic_regression(means, weights=sizes.astype(np.float64)).x
    return Calibration("isotonic", _floats(np.exp(knots)), _floats(np.exp(fitted)))


def judged(answered_m: Floats, true_m: Floats, pictures: Sequence[str]) -> list[Judged]:
    """Return both kinds of calibration, the one with the better held-out delta1 first.

    Args:
        answered_m: Answers (N,), above 0.
        true_m: Truths (N,), above 0.
        pictures: Names (N,) of their pictures; all answers of one lie in one fold.

    Raises:
        ConfigError: For fewer than 200 answers, 10 pictures or 10 different answers.
    """
    keys = picture_keys(pictures)
    names, picture = np.unique(keys, return_inverse=True)
    if len(answered_m) < FEWEST_POINTS or len(names) < FEWEST_PICTURES:
        raise ConfigError(
            f"a calibration is learnt from at least {FEWEST_POINTS} answers about"
            f" {FEWEST_PICTURES} pictures; found {len(answered_m)} about {len(names)}"
        )
    different = len(np.unique(answered_m))
    if different < FEWEST_DIFFERENT:
        raise ConfigError(
            f"the {len(answered_m)} answers are {different} different numbers: this model has not"
            " learnt to tell distances apart, and no calibration teaches it"
        )
    fold = picture % _FOLDS
    drawn = weights(names).astype(np.float64)
    raw = _within(answered_m, true_m)
    found = []
    for fit in (log_affine, isotonic):
        held_out = np.empty_like(answered_m)
        for one in range(_FOLDS):
            rest, here = fold != one, fold == one
            held_out[here] = fit(answered_m[rest], true_m[rest]).of(answered_m[here])
        calibrated = _within(held_out, true_m)
        better = np.bincount(picture, calibrated - raw, len(names)) @ drawn
        gain = interval(better / (np.bincount(picture, minlength=len(names)) @ drawn))
        found.append(
            Judged(
                fit(answered_m, true_m),
                float(calibrated.mean()),
                float(raw.mean()),
                gain or (-1.0, 1.0),
                len(answered_m),
                len(names),
            )
        )
    return sorted(found, key=lambda one: -one.delta1)


def save_calibration(folder: str | Path, task: str, judged: Judged, source: str) -> Path:
    """Write a task's calibration beside the weights in a folder, others stay; return the path.

    Raises:
        ConfigError: As `load_calibrations`; for a folder without weights.
    """
    path = Path(folder, SAVED_AS)
    tasks = _read(path)["tasks"] if path.is_file() and _fits(path) else {}
    tasks[task] = {
        "kind": judged.calibration.kind,
        "answered_m": judged.calibration.answered_m,
        "true_m": judged.calibration.true_m,
        "held_out": {
            "delta1": judged.delta1,
            "raw_delta1": judged.raw_delta1,
            "gain_95": judged.gain,
            "points": judged.points,
            "pictures": judged.pictures,
        },
        "source": source,
    }
    content = {"format": _FORMAT, "weights": _digest(path.parent), "tasks": tasks}
    with whole_file(path) as file:
        file.write(json.dumps(content, indent=2) + "\n")
    return path


def load_calibrations(folder: str | Path) -> dict[str, Calibration]:
    """Return the calibrations, by task, that were learnt for the weights in a local folder.

    Raises:
        ConfigError: For a file that is damaged, or was made for other weights.
    """
    path = Path(folder, SAVED_AS)
    if not path.is_file():
        return {}
    content = _read(path)
    if not _fits(path):
        raise ConfigError(
            f"{path} was learnt from answers of other weights than those beside it; remove it,"
            " answer with --uncalibrated, or run depthlm calibrate with answers of these"
        )
    return {task: _calibration(path, task, saved) for task, saved in content["tasks"].items()}


def _read(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        found, _, _ = content["format"], content["weights"], dict(content["tasks"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ConfigError(f"{path} is not a saved calibration ({error!r})") from error
    if found != _FORMAT:
        raise ConfigError(f"{path} has format {found!r}, this version reads {_FORMAT}")
    return content


def _calibration(path: Path, task: str, saved: Any) -> Calibration:
    try:
        kind, *knots = saved["kind"], saved["answered_m"], saved["true_m"]
        said, true = (np.array(one, dtype=np.float64) for one in knots)
        if (
            kind in ("log-affine", "isotonic")
            and len(said) == len(true) >= (2 if kind == "log-affine" else 1)
            and np.isfinite([said, true]).all()
            and (np.diff(said) > 0).all()
            and (np.diff(true) >= 0).all()
            and said[0] > 0 < true[0]
        ):
            return Calibration(kind, _floats(said), _floats(true))
        problem = "its knots do not ascend above 0"
    except (KeyError, TypeError, ValueError) as error:
        problem = repr(error)
    raise ConfigError(f"{path} is not a saved calibration: {task}: {problem}")


def _fits(path: Path) -> bool:
    return bool(_read(path)["weights"] == _digest(path.parent))


def _digest(folder: Path) -> str:
    """Return a digest of the weights in a folder: names, sizes, and 64 pieces of every file.

    Training changes every piece; of an adapter the base is what its config names.
    """
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise ConfigError(f"{folder} holds no weights (*.safetensors); give the trained folder")
    digest = hashlib.sha256()
    adapter = folder / "adapter_config.json"
    if adapter.is_file():
        digest.update(adapter.read_bytes())
    for file in files:
        size = file.stat().st_size
        digest.update(json.dumps([file.name, size]).encode())
        with file.open("rb") as opened:
            for start in sorted({size * part // _SAMPLES for part in range(_SAMPLES)}):
                opened.seek(start)
                digest.update(opened.read(_SAMPLE_BYTES))
    return digest.hexdigest()[:16]


def _within(answered_m: Floats, true_m: Floats) -> NDArray[np.float64]:
    within: Floats = np.abs(np.log(answered_m / true_m)) < _WITHIN
    return within.astype(np.float64)


def _floats(values: Floats) -> tuple[float, ...]:
    return tuple(map(float, values))
