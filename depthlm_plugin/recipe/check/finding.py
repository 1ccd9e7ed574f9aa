"""What a check says of a recipe."""

from __future__ import annotations

from dataclasses import dataclass

ERROR, WARNING, LEFT_OUT = "error", "warning", "left out"


@dataclass(frozen=True)
class Finding:
    """One thing that a check found.

    Attributes:
        level: `error` (the run would fail, or learn wrong metres), `warning`, or `left out` (what
            could not be looked at, and why).
        key: The key of the recipe; those of the block begin with `depthlm.`.
        message: What was found, and what was expected.
        change: The line of the recipe that mends it, where there is one.
    """

    level: str
    key: str
    message: str
    change: str = ""


def error(key: str, message: str, change: str = "") -> Finding:
    """Return a finding that fails."""
    return Finding(ERROR, key, message, change)


def warning(key: str, message: str, change: str = "") -> Finding:
    """Return a finding that does not fail."""
    return Finding(WARNING, key, message, change)


def left_out(key: str, message: str) -> Finding:
    """Return that something could not be looked at."""
    return Finding(LEFT_OUT, key, message)
