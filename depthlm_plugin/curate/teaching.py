"""A model that was trained here as a teacher: loaded once a process, asked about drawn pixels."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..cameras.source import CameraSource, FoundCamera
from ..config.block import DepthLMConfig
from ..config.saved import SAVED_AS, load_config
from ..errors import ConfigError, DepthLMError
from ..geometry.arrays import Floats
from ..geometry.camera import Camera, convert_depth
from ..geometry.plausible import is_depth
from ..predict.answer import Answer
from ..predict.mapping import DEPTH_TASKS
from ..predict.predictor import Predictor
from ..sampling.given import pixels_shown
from .frames import Answers

# As many as an engine begins with: it keeps to that, and labels do not depend on the time it takes.
_AT_ONCE = 32
_DIGITS = 3  # of intervals, metres
INTERVAL = "interval_90_m"
"""The key of records: for each point from where to where, metres, of its own kind of depth."""


def config_of(folder: Path) -> DepthLMConfig:
    """Return how a model was trained to see.

    Raises:
        ConfigError: For one that was not trained here, or learnt no depth.
    """
    config = load_config(folder)
    if config is None:
        raise ConfigError(
            f"{folder} has no {SAVED_AS}: it was not trained by depthlm-plugin. Of other models"
            " depthlm curate expert takes depth models"
        )
    task_of(config)
    return config


def task_of(config: DepthLMConfig) -> str:
    """Return what a teacher is asked: the first of the tasks of single depths that it learnt.

    Raises:
        ConfigError: For a model that learnt none.
    """
    for task in DEPTH_TASKS:
        if task in config.tasks:
            return task
    raise ConfigError(
        f"the model learnt {', '.join(config.tasks)}, and labels are of {' or '.join(DEPTH_TASKS)}"
    )


@lru_cache(maxsize=1)
def load_teacher(model: Path, adapter: Path | None, version: str) -> Predictor:
    """Return a trained model, calibrated where it has a calibration.

    Args:
        model: Folder of the base or merged model.
        adapter: Its LoRA adapter's, if it has one.
        version: The digest of their files, so that changed ones are loaded again.

    Raises:
        ConfigError: As `Predictor.load`, and for files that cannot be read.
        HostError: As `Predictor.load`.
    """
    try:
        with redirect_stdout(sys.stderr):  # LLaMA-Factory logs to stdout
            return Predictor.load(model, adapter)
    except DepthLMError:
        raise
    except Exception as error:  # whatever a stranger's files make transformers raise
        raise ConfigError(
            f"the teacher of {adapter or model} cannot be loaded: {type(error).__name__}: {error}"
        ) from error


def ask(
    predictor: Predictor,
    path: Path,
    found: FoundCamera,
    pixels: NDArray[np.int64],
    max_ratio: float,
) -> Answers:
    """Return the distances that a teacher says of pixels (N, 2) of a picture, with intervals.

    Args:
        predictor: The teacher.
        path: The picture.
        found: Its camera, without a lens.
        pixels: The pixels, as (x, y).
        max_ratio: By what factor a 90 % interval may reach beyond its label, up or down.

    Raises:
        ConfigError: For a model that has no intervals, or whose image processor would resample.
        RecordError: For a picture that cannot be decoded.
    """
    task = task_of(predictor.config)
    at = pixels.astype(np.float64)
    shown = pixels_shown(predictor.planner([task]), str(path), found.camera, at)
    answers: list[Answer] = []
    with redirect_stdout(sys.stderr):
        for start in range(0, int(shown.sum()), _AT_ONCE):
            some = [(x, y) for x, y in at[shown][start : start + _AT_ONCE].tolist()]
            asked = predictor.questions(path, CameraSource(camera=found), some, task=task)
            answers += predictor.answer(asked, distribution=True)
    return _labels(answers, at, shown, found.camera, max_ratio)


def _labels(
    answers: Sequence[Answer],
    pixels: Floats,
    shown: NDArray[np.bool_],
    camera: Camera,
    max_ratio: float,
) -> Answers:
    """Return the labels that answers about the shown ones of the pixels (N, 2) are."""
    none = np.nan, np.nan
    said_m = np.array(
        [[answer.best or np.nan, *(answer.interval_90 or none)] for answer in answers]
    ).reshape(-1, 3)
    kind = answers[0].sample.question.depth_kind if answers else "distance"
    assert kind is not None
    distance_m, low_m, high_m = (
        convert_depth(column, pixels[shown], camera, kind=kind, to="distance")
        for column in said_m.T
    )
    read = is_depth(distance_m)
    sure = (high_m <= max_ratio * distance_m) & (distance_m <= max_ratio * low_m)
    good = read & sure
    labelled = shown.copy()
    labelled[shown] = good
    intervals = np.stack([low_m, high_m], axis=1)[good].round(_DIGITS).tolist()
    dropped = {
        "too near the border for the teacher's mark": int((~shown).sum()),
        "answered with no number that is a distance": int((~read).sum()),
        "of a wider interval than max_ratio": int((read & ~sure).sum()),
    }
    return Answers(
        labelled,
        distance_m[good],
        {INTERVAL: intervals},
        {reason: count for reason, count in dropped.items() if count},
    )
