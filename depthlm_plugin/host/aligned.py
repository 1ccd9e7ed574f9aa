"""Turns records into LLaMA-Factory's aligned samples: the converter of `formatting: depthlm`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from llamafactory.data.converter import DatasetConverter

from .. import __version__
from ..errors import HostError
from ..language.templates import load_template
from ..sampling.decoding import decoding
from ..sampling.planner import Planner
from ..sampling.sample import Sample
from ..views.view import FORMAT
from . import compat

SKIPPED = "_depthlm_counts"  # a column of the converter's own, removed before LLaMA-Factory looks


@dataclass
class DepthLMConverter(DatasetConverter):
    """Turns batches of records into samples, of which one record may give several, or none.

    `prepared` calls it through `datasets.map(batched=True)`, and fills the columns `where`, `row`,
    `epoch` and `record` (JSON) from the records file.
    """

    def __post_init__(self) -> None:
        compat.require()
        planner = getattr(self.dataset_attr, "depthlm_planner", None)
        if planner is None:
            raise HostError(
                "LLaMA-Factory loads a depthlm dataset by a path that depthlm-plugin does not know;"
                " use llamafactory-cli train with stage: sft"
            )
        self.planner: Planner = decoding(planner)
        # `datasets` keys its cache by this object's content, not by its code or by files it reads:
        # without these, an edited template would go on asking its old question.
        self.version = f"{__version__} {FORMAT}"
        self.templates = [load_template(t, planner.config.prompt) for t in planner.config.tasks]
        self.data_args = None
        self.dataset_attr: Any = None

    def __call__(self, batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """Return the columns of the samples of a batch of records, each N values long."""
        columns = aligned_columns([]) | {SKIPPED: []}
        for record, where, row, epoch in zip(
            batch["record"], batch["where"], batch["row"], batch["epoch"], strict=True
        ):
            samples, counts = self.planner.plan(record, where, row, epoch)
            notes = [_note(counts)] + [""] * (len(samples) - 1)
            # A record without samples keeps one empty row, so that its counts survive the cache.
            rows: list[Sample | None] = [*samples] or [None]
            for name, values in aligned_columns(rows).items():
                columns[name] += values
            columns[SKIPPED] += notes
        return columns


def registering_with(original: Callable[..., None]) -> Callable[..., None]:
    """Register the converter with LLaMA-Factory's own function, and return that as it is."""
    original("depthlm", DepthLMConverter)
    return original


def aligned_columns(samples: Sequence[Sample | None]) -> dict[str, list[Any]]:
    """Return samples as the columns that LLaMA-Factory tokenises, with an empty row for None."""
    messages = [sample.messages if sample else [] for sample in samples]
    asked = [[turn for turn in turns if turn["role"] != "system"] for turns in messages]
    return {
        "_prompt": [turns[:-1] for turns in asked],
        "_response": [turns[-1:] for turns in asked],
        "_system": [(sample.system or "") if sample else "" for sample in samples],
        "_tools": [""] * len(samples),
        "_images": [sample.to_uris() if sample else [] for sample in samples],
        "_videos": [None] * len(samples),
        "_audios": [None] * len(samples),
    }


def _note(counts: Counter[str]) -> str:
    return json.dumps(dict(+counts)) if +counts else ""


def total(notes: list[str]) -> Counter[str]:
    """Return the sum of the converter's counts."""
    result: Counter[str] = Counter()
    for note in notes:
        if note:
            result.update(json.loads(note))
    return result
