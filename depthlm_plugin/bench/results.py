"""What `depthlm bench` leaves behind: results.json, and the plan (bench.json) it grows from.

Both are JSON objects, declared here and written and read nowhere else. Every key of a results.json
that was read may be missing, because an older bench or a person wrote it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypedDict, cast

from ..errors import DepthLMError
from ..records.atomic import whole_file
from ..scoring.prediction import SIDECAR

RESULTS = "results.json"
FORMAT = 1


class Protocol(TypedDict, total=False):
    """How points were drawn: how many of a set at most, at random, or `all`; and the seed."""

    points: int | str
    seed: int


class SetResults(TypedDict, total=False):
    """What is known of one evaluation set.

    Attributes:
        dataset: Its name in dataset_info.json.
        records: Its records file or folder.
        options: Its depthlm object in dataset_info.json.
        points: Labelled points of its records.
        drawn: Points that were drawn of these.
        asked: Points that were asked about. The mark of another would cross the picture's border,
            or its label is out of the depth range.
        answered: Answers, which are as many.
        not_asked: The others of the drawn points.
    """

    dataset: str
    records: str
    options: dict[str, Any]
    points: int
    drawn: int
    asked: int
    answered: int
    not_asked: int


class Plan(TypedDict, total=False):
    """What is asked of which model; what must not change between one start and the next.

    Attributes:
        format: `FORMAT`.
        version: Of depthlm-plugin.
        model: Base or merged model, as it was named.
        adapter: Its adapter, or None.
        block: The `depthlm:` block that it was asked with, all keys.
        protocol: How points were drawn.
        data: Folder of the sets, absolute; image paths start from it.
        asked_for: The sets that were wanted, as `--sets` has them.
        sets: The sets that are there, by their names in `published.SETS`.
        missing: The wanted sets that are not there.
    """

    format: int
    version: str
    model: str
    adapter: str | None
    block: dict[str, Any]
    protocol: Protocol
    data: str
    asked_for: list[str]
    sets: dict[str, SetResults]
    missing: list[str]


class Results(Plan, total=False):
    """The plan, with what came of it.

    Attributes:
        complete: Whether no wanted set is missing.
        scores: `Scores.summary`.
    """

    complete: bool
    scores: dict[str, Any]


def write_results(folder: Path, results: Results) -> None:
    """Write results.json into a bench's folder, whole or not at all."""
    with whole_file(folder / RESULTS) as file:
        file.write(json.dumps(results, indent=2) + "\n")


def read_results(folder: Path) -> Results:
    """Return the results.json of a bench's folder; one without keys where there is no such file.

    Raises:
        DepthLMError: When the file cannot be read, or is of another format.
    """
    path = folder / RESULTS
    if not path.is_file():
        return {}
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DepthLMError(f"{path} cannot be read ({error}); run depthlm bench again") from error
    if not isinstance(results, dict) or results.get("format") != FORMAT:
        found = results.get("format") if isinstance(results, dict) else type(results).__name__
        raise DepthLMError(
            f"{path} has format {found!r}, this version reads {FORMAT}; to report without it give"
            f" {folder / SIDECAR} in place of the folder"
        )
    for key in ("block", "protocol", "sets"):
        if not isinstance(results.get(key, {}), dict):
            raise DepthLMError(f"{path}: {key} is {results[key]!r}, expected an object")
    if not isinstance(results.get("missing", []), list):
        raise DepthLMError(f"{path}: missing is {results['missing']!r}, expected a list")
    return cast(Results, results)
