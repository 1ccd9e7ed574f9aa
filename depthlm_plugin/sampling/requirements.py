"""Which tasks a dataset can serve, by what its records hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import ConfigError, RecordError
from ..records.raw import parse_row
from ..records.rows import Rows
from ..tasks import TASKS

_LOOKED_AT = 16  # records, evenly spaced
_PAIR_KEYS = ("pose", "scene")


def lacking(tasks: Iterable[str], rows: Rows) -> dict[str, list[str]]:
    """Return what none of a dataset's records holds, by task that needs it; {} where all is there.

    Some records, evenly spaced, are looked at.
    """
    step = max(1, len(rows) // _LOOKED_AT)
    held: set[str] = set()
    for row in range(0, len(rows), step):
        where, raw = rows[row]
        try:
            record: Mapping[str, Any] = parse_row(raw, where) if isinstance(raw, str) else raw
        except RecordError:  # told of when it is drawn
            continue
        held |= {key for key, value in record.items() if value is not None}
    missing = {1: [] if held & {"image", "image_path"} else ["image"]}
    missing[2] = [key for key in _PAIR_KEYS if key not in held]
    if {"images", "relative_pose"} <= held:
        missing[2] = []
    lacks = {name: missing[TASKS[name].images] for name in tasks}
    return {name: keys for name, keys in lacks.items() if keys}


def check_served(tasks: Iterable[str], lacks: Mapping[str, Mapping[str, list[str]]]) -> None:
    """Refuse tasks that no dataset can serve, and datasets that can serve none.

    Args:
        tasks: Of the run.
        lacks: `lacking` of each dataset, by its name.

    Raises:
        ConfigError: Lists what each dataset lacks.
    """
    tasks = list(tasks)
    unserved = [
        task for task in tasks if lacks and all(task in missing for missing in lacks.values())
    ]
    useless = [name for name, missing in lacks.items() if all(task in missing for task in tasks)]
    if not unserved and not useless:
        return
    lines = [
        f"{name} lacks {', '.join(missing[task])} for {task}"
        for name, missing in lacks.items()
        for task in missing
    ]
    what = (
        f"no dataset of this run can serve {', '.join(unserved)}"
        if unserved
        else f"{', '.join(useless)} can serve none of the tasks"
    )
    raise ConfigError(
        f"depthlm: {what}: {'; '.join(lines)}. Curate data with poses, or take the task or the"
        " dataset out of the recipe"
    )
