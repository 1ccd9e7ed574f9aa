"""Numbers as questions and answers write them."""

from __future__ import annotations

DECIMALS = 2  # as published


def format_number(value: float, decimals: int = DECIMALS, *, signed: bool = False) -> str:
    """Return a number as the model is taught to write it: `2.35`.

    A small positive number keeps two significant digits, because 0.004 m written as `0.00` would be
    a wrong label; of a `signed` one, such as part of a direction, 0.00 is right. There is no
    negative zero and no exponent.
    """
    if 0 < value < 0.1 and decimals >= DECIMALS and not signed:
        return f"{value:.{max(decimals, _two_significant(value))}f}"
    text = f"{value:.{decimals}f}"
    return text.lstrip("-") if not float(text) else text


def as_written(value: float) -> float:
    """Return the number that `format_number` writes of a measured one."""
    return float(format_number(value))


def _two_significant(value: float) -> int:
    exponent = int(f"{value:.1e}".partition("e")[2])
    return 1 - exponent
