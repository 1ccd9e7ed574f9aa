"""Scores of whole depth maps in a report: what `depthlm score --truth` printed of them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..scoring.maps import METRICS


@dataclass(frozen=True)
class ScoredMaps:
    """Means over maps.

    Attributes:
        name: Of the file, without its ending.
        maps: How many there are.
        mean: By the names of `scoring.maps.METRICS`; one that no map has is absent.
        intervals: Their 95 % intervals over maps, where there are enough.
    """

    name: str
    maps: int
    mean: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]


def read_maps(path: str) -> ScoredMaps:
    """Return the scores in a file.

    Raises:
        ConfigError: For a file that is not what `depthlm score MAPS --truth TRUTH --json` printed.
    """
    try:
        content: Any = json.loads(Path(path).read_text(encoding="utf-8"))
        maps, mean, intervals = content["maps"], content["mean"], content["intervals"]
        spans = {name: (float(low), float(high)) for name, (low, high) in intervals.items()}
        values = {name: float(value) for name, value in mean.items()}
        numbers = [*values.values(), *(end for span in spans.values() for end in span)]
        good = bool(maps) and values.keys() <= METRICS.keys() and spans.keys() <= values.keys()
        if good and all(map(math.isfinite, numbers)):
            return ScoredMaps(Path(path).stem, len(maps), values, spans)
        problem = "no maps, unknown metrics, or numbers that are not finite"
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        problem = repr(error)
    raise ConfigError(
        f"--maps {path}: expected what depthlm score MAPS --truth TRUTH --json prints ({problem})"
    )
