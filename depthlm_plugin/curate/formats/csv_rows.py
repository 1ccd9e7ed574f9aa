"""Small CSV files that come with datasets: splits, cameras."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from ...errors import DepthLMError


def read_rows(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Return the rows of a CSV file by the names of its first line.

    Raises:
        DepthLMError: For a file without one of `columns`, or with a row that ends before it.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            names = reader.fieldnames or []
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DepthLMError(f"{path} cannot be read as CSV ({error}); fetch it again") from error
    absent = [column for column in columns if column not in names]
    if absent:
        raise DepthLMError(
            f"{path} has the columns {', '.join(names) or '-'}; expected {', '.join(absent)} among"
            " them; is it the file of that name?"
        )
    for number, row in enumerate(rows, start=2):
        if any(row[column] is None for column in columns):
            raise DepthLMError(f"{path}: row {number} is cut off; fetch the file again")
    return rows
