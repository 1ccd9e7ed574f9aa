"""Shows records in LLaMA Board's preview of a dataset, one page at a time.

LLaMA-Factory's own preview loads whole files, and reads every file as text. Its page asks for two
records at a time, in threads of its own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import lru_cache, wraps
from pathlib import Path
from threading import Lock
from typing import Any

from ..errors import DepthLMError
from ..records.files import record_files
from ..records.rows import Rows, open_rows
from .run import FORMATTING

_MOST_ITEMS = 12  # of a list that are shown: a record may hold thousands of points
_one_at_a_time = Lock()


def get_preview_with(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return LLaMA-Factory's `get_preview`, which reads the records of depth datasets by number."""

    @wraps(original)
    def get_preview(dataset_dir: str, dataset: list[str], page_index: int) -> Any:
        path = _records_path(dataset_dir, dataset)
        if path is None:
            return original(dataset_dir, dataset, page_index)
        import gradio
        from llamafactory.webui.components.data import PAGE_SIZE

        first = PAGE_SIZE * page_index
        try:
            with _one_at_a_time:
                rows = _opened(path, _version(path))
                numbers = range(len(rows))[first : first + PAGE_SIZE]
                page = [_shown(*rows[number]) for number in numbers]
        except DepthLMError as error:
            raise gradio.Error(str(error)) from error  # others it shows without their text
        return len(rows), page, gradio.Column(visible=True)

    return get_preview


def _records_path(dataset_dir: str, dataset: list[str]) -> str | None:
    """Return the records of a depth dataset, or None where LLaMA-Factory knows what to do."""
    try:
        info = json.loads(Path(dataset_dir, "dataset_info.json").read_text(encoding="utf-8"))
        entry = info[dataset[0]]
        if entry.get("formatting") != FORMATTING:
            return None
        return os.path.join(dataset_dir, entry["file_name"])
    except (OSError, ValueError, LookupError, AttributeError, TypeError):
        return None


@lru_cache(maxsize=1)
def _opened(path: str, version: tuple[object, ...]) -> Rows:
    return open_rows(path)


def _version(path: str) -> tuple[object, ...]:
    """Return what changes when a records file, or one of a folder's, is written again."""
    stats = [os.stat(file) for file in record_files(path) if os.path.exists(file)]
    return tuple((stat.st_size, stat.st_mtime_ns) for stat in stats)


def _shown(where: str, raw: dict[str, Any] | str) -> dict[str, Any]:
    """Return a row as the page shows it, which is JSON; a row that is none is shown as it is."""
    try:
        record = json.loads(raw) if isinstance(raw, str) else raw
    except ValueError:
        record = raw
    return {"where": where, "record": _shortened(record)}


def _shortened(value: Any) -> Any:
    """Return a value of a record as JSON, without the tail of long lists and the pixels."""
    if isinstance(value, dict):
        return {str(key): _shortened(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        head = [_shortened(item) for item in value[:_MOST_ITEMS]]
        return head if len(value) <= _MOST_ITEMS else [*head, f"... {len(value)} in all"]
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
