"""Whether the depths of a whole dataset look like metres, told from a few of its rows."""

from __future__ import annotations

import numpy as np

from ..errors import DepthLMError, RecordError
from ..geometry.plausible import MEDIAN_M, unit_question
from .pair import is_pair
from .raw import numbers, parse_row
from .rows import Rows, open_rows
from .stated import Stated, parse_unusual

_ROWS = 32  # looked at, evenly spaced


def open_dataset(path: str, stated: Stated) -> Rows:
    """Return the rows of a records file or folder that somebody will use: `open_rows`, and more.

    Raises:
        DepthLMError: As `open_rows` and `check_units` do, and for a file without a record.
    """
    rows = open_rows(path)
    check_units(rows, stated, path)
    return rows


def check_units(rows: Rows, stated: Stated, name: str) -> None:
    """Refuse a dataset whose labels are, in the median of a few rows, no distance cameras see.

    Rows that cannot be read are left to whoever uses them, and so are those that state their depths
    to be unusual.

    Args:
        rows: Its rows; 32 of them are read, evenly spaced.
        stated: What it states of its records.
        name: What to call it.

    Raises:
        DepthLMError: Without any row; for such labels, with the units that they may be in, and how
            to confirm them.
    """
    if not len(rows):
        raise DepthLMError(f"{name} holds no record")
    if "depth" in stated.unusual:
        return
    chosen = np.unique(np.linspace(0, len(rows) - 1, _ROWS).astype(int)).tolist()
    medians = [median for median in (_median_m(rows, row) for row in chosen) if median is not None]
    if not medians:
        return
    median_m = float(np.median(medians))
    low_m, high_m = MEDIAN_M
    if low_m <= median_m <= high_m:
        return
    unit = unit_question(median_m)
    raise DepthLMError(
        f"{name}: the unit looks wrong: the median depth of {len(medians)} of its records is"
        f" {median_m:.3g} m, expected {low_m:g} to {high_m:g} m; {unit}Convert them, or, where"
        ' these are its metres, say so: "unusual": ["depth"] in the depthlm object of the'
        " dataset, or --unusual depth"
    )


def _median_m(rows: Rows, row: int) -> float | None:
    """Return the median depth of a row, metres, or None where it has none that can be read."""
    try:
        where, raw = rows[row]
        record = parse_row(raw, where) if isinstance(raw, str) else raw
        if is_pair(record) or "depth" in parse_unusual(record.get("unusual")):
            return None
        depth_m = numbers(record, "depth", where)
    except (RecordError, ValueError):
        return None
    depth_m = depth_m[np.isfinite(depth_m) & (depth_m > 0)]
    return float(np.median(depth_m)) if len(depth_m) else None
