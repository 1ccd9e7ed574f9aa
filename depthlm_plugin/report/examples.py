"""What a report shows of a prediction row, whatever the row's optional keys hold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..config.block import DepthLMConfig
from ..errors import ConfigError
from ..scoring.files import template_named
from ..tasks import TASKS
from .texts import shortened

LONGEST_TEXT = 600  # characters of an answer that are shown

Row = Mapping[str, Any]  # a good row of `scoring.files.Finished`


def number_of(cell: Any) -> float | None:
    """Return the one number of a `target` or `value`; None unless it is positive and finite."""
    if isinstance(cell, Mapping):
        [cell] = cell.values()
    return float(cell) if cell is not None and 0 < cell < math.inf else None


def ratio_of(value: float, target: float) -> float:
    """Return max(p / g, g / p) of positive numbers, infinite beyond all floats."""
    return max(value, target) / min(value, target)


def pixel_of(row: Row) -> tuple[float, float] | None:
    """Return a row's point (x, y) in the stored picture, or None for anything but two numbers."""
    value = row.get("pixel")
    if not isinstance(value, list) or len(value) != 2:
        return None
    if not all(type(axis) in (int, float) and abs(axis) < 1e6 for axis in value):
        return None  # not a number is not below anything either
    return float(value[0]), float(value[1])


def place_of(row: Row) -> str:
    """Return a row's picture, and the numbers of its record and point, as the file gives them."""
    image = f"{shortened(row['image'])}, " if "image" in row else ""
    record, point = (shortened(str(row.get(key, "?"))) for key in ("row", "point"))
    return f"{image}record {record}, point {point}"


def facts_of(row: Row, config: DepthLMConfig | None, given: str) -> dict[str, str]:
    """Return what is said below the picture of a row of a depth task, by its name.

    `given` is the template that the user gave: see `question_of`.
    """
    value, target, prompt = number_of(row["value"]), number_of(row["target"]), row.get("prompt")
    read = f"not read: {shortened(str(row.get('reason')))}"
    if value is not None and target is not None:
        way = "too far" if value > target else "too near"
        read = f"{value:.4g} m, {ratio_of(value, target):.3g} times {way}"
    return {
        "read as": read,
        "truth": "" if target is None else f"{target:.4g} m",
        "answer": shortened(row["text"], LONGEST_TEXT),
        "question": row["task"]
        if prompt is None
        else question_of(row["task"], str(prompt), config, given),
        "of": place_of(row),
    }


def question_of(task: str, prompt: str, config: DepthLMConfig | None, given: str) -> str:
    """Return a question's words as far as they are known: its template, with its mark named.

    `config` is the block that the model was asked with; without it the point has no name yet.
    `prompt` may be a path only where it is the one that the user gave, `given`.
    """
    try:
        template = template_named(task, prompt, given)
    except ConfigError:
        return f"{task}, template {shortened(prompt)} (which is elsewhere)"
    text = template.questions[0]
    if config is not None and config.reference == "marker" and not TASKS[task].given:
        mark = template.name_point("marker", color=config.marker_color, marker=config.marker)
        text = template.ask([mark], {}, 0.0)
    others = len(template.questions) - 1
    return text + (f" (or one of {others} other wordings)" if others else "")
