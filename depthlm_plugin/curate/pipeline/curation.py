"""The loop of a curation: frames, a chunk at a time, by worker processes, to a records file."""

from __future__ import annotations

import io
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import islice
from typing import Any

from tqdm import tqdm

from ...config.block import DepthLMConfig
from ...errors import ConfigError, DepthLMError
from ...pictures.preview import draw_sheet, spread
from ...records.rows import open_rows
from ...sampling.planner import Planner
from ..frames import Frame, Item
from ..loading import source_digest
from .card import data_card
from .chunks import Outcome
from .counts import Counts, check_unit
from .duplicates import REASON, Seen, View
from .labelling import Job
from .output import Output
from .points import check_strategy
from .scale import Evidence, check_scale
from .workers import check_engine, results

CHUNK_FRAMES = 64  # what a killed worker has to do again, and one file while the curation runs
_FORMAT = 2  # of chunks and labels: another number does not go on with an older curation
_HEADS = 40  # of chunks kept in memory
_TILES = 12  # of the contact sheet
_MULTIPLE_PX = 28  # of whose multiples its views are, as Qwen2.5-VL's


@dataclass(frozen=True)
class Settings:
    """How a curation runs, none of which changes a byte of what it writes.

    Attributes:
        workers: How many processes there are, or Ray tasks at a time.
        engine: One of `workers.ENGINES`.
        chunk_frames: How many frames a chunk has.
    """

    workers: int = 1
    engine: str = "processes"
    chunk_frames: int = CHUNK_FRAMES


def curate(job: Job, output: Output, limit: int | None, settings: Settings) -> dict[str, Any]:
    """Write the records of a dataset, or what is missing of them, and describe them.

    Killed at any moment and started again, it ends with the bytes of an uninterrupted run.

    Args:
        job: What is read, and how it is labelled.
        output: Where it is written.
        limit: How many frames are read, in the order of the dataset; None: all.
        settings: How it runs.

    Returns:
        The counts of frames, records and points, and of frames left out, by reason.

    Raises:
        DepthLMError: For a root that is not the dataset, an output that is another configuration's,
            a unit that looks wrong, a disk that is full; or when no frame gave a record.
    """
    _check(job, limit, settings)
    items = list(islice(job.reader.items(), limit))
    config = _config(job, limit)
    if not items:
        raise DepthLMError(f"{job.reader.root} lists no frame of {job.dataset}; is it complete?")
    _refuse_twins(items)
    finished = output.claim(config, job.reader.root)
    if finished is not None:
        print(f"{output.records} is finished already; nothing was done", file=sys.stderr)
        return finished
    with output.chunks.opened():
        size = settings.chunk_frames
        chunks = [items[start : start + size] for start in range(0, len(items), size)]
        total, unwanted = _label_all(job, output, chunks, settings)
        if not total.records:
            output.abandon()
            raise DepthLMError(
                f"none of {total.frames} frames gave a record: {_reasons(total)}; the first:"
                f" {(total.messages or ['-'])[0]}. Nothing was kept"
            )
        summary = total.summary()
        output.finish(len(chunks), config, summary, unwanted)
        # What a model labels would be asked of it again.
        unchecked = job.reader.VERBATIM or job.reader.inputs()
        scale = None if unchecked else _scale(job, output, items, size)
        _describe(job, output, config, total, scale)
        output.register(None if job.reader.VERBATIM else _kind(job))
        output.clean()
    for message in [*total.messages, *(scale.warnings() if scale else ())]:
        print(message, file=sys.stderr)
    return summary


def _check(job: Job, limit: int | None, settings: Settings) -> None:
    check_strategy(job.sampling)
    check_engine(settings.engine)
    for name, value in (
        ("points", job.points),
        ("limit", limit),
        ("workers", settings.workers),
        ("chunk_frames", settings.chunk_frames),
    ):
        if value is not None and value < 1:
            raise ConfigError(f"--{name} must be 1 or more, found {value}")
    if job.drop_repeats and job.reader.VERBATIM:
        raise ConfigError(
            f"--near-duplicates drop is not for {job.dataset}, whose records stay as they are given"
            " (several may show one picture); use keep"
        )


def _config(job: Job, limit: int | None) -> dict[str, Any]:
    """Return what two runs must have in common to write the same bytes."""
    values = asdict(job.reader)
    config = {
        "format": _FORMAT,
        "dataset": job.dataset,
        "split": job.reader.split,
        "points": job.points,
        "seed": job.seed,
        "sampling": job.sampling,
        "images": None if job.jpeg_focal_px is None else f"jpeg at {job.jpeg_focal_px:g} px",
        "limit": limit,
        "compat": "official" if job.reader.compat else None,
        "options": {
            name: values[name] for name in job.reader.options() if values[name] is not None
        },
    }
    if job.drop_repeats:
        config["near_duplicates"] = "drop"
    if job.reader.unusual:
        config["unusual"] = sorted(job.reader.unusual)
    if inputs := job.reader.inputs():
        config["inputs"] = inputs
    if (digest := source_digest(type(job.reader))) is not None:
        config["reader"] = digest
    return config


def _refuse_twins(items: Sequence[Item]) -> None:
    seen: set[str] = set()
    for item in items:
        if item.frame_id in seen:
            raise DepthLMError(
                f"two frames have the identifier {item.frame_id!r}; samples and pictures go by it"
            )
        seen.add(item.frame_id)


def _label_all(
    job: Job, output: Output, chunks: Sequence[Sequence[Item]], settings: Settings
) -> tuple[Counts, dict[int, list[int]]]:
    """Return the counts of all chunks, having written those that were missing.

    Also return the near-duplicates to leave out: the places of these records in their chunks.
    """
    total, seen, unwanted = Counts(), Seen(), {}
    frames = sum(map(len, chunks))
    # disable=None: quiet when stderr is not a terminal
    with tqdm(total=frames, unit="frame", disable=None, delay=2, file=sys.stderr) as progress:
        done = {number for number, items in enumerate(chunks) if output.chunks.has(number, items)}
        if done:
            kept = sum(len(chunks[number]) for number in done)
            print(f"going on: {kept} of {frames} frames are done", file=sys.stderr)
            progress.update(kept)
            progress.unpause()  # so that the rate is this run's
        waiting = [number for number in range(len(chunks)) if number not in done]
        made = results(
            _write_chunk,
            [(job, output, number, chunks[number]) for number in waiting],
            settings.workers,
            settings.engine,
        )
        for number in range(len(chunks)):
            if number not in done:
                progress.update(next(made))
            # In the order of the dataset, whoever made the chunk and when.
            repeats = _add(total, seen, output.chunks.outcomes(number), job.drop_repeats)
            if job.drop_repeats:
                unwanted[number] = repeats
            if "depth" not in job.reader.unusual:
                _ask_about_unit(job, output, total)
    return total, unwanted


def _add(total: Counts, seen: Seen, outcomes: Sequence[Outcome], drop: bool) -> list[int]:
    """Count the frames of a chunk; return which of its records are near-duplicates."""
    repeats: list[int] = []
    records = 0
    for outcome in outcomes:
        counts = outcome.counts
        if outcome.view is not None:
            if seen.repeats(outcome.view):
                repeats.append(records)
                counts.repeats = 1
                if drop:
                    counts = Counts(frames=1, left_out=Counter({REASON: 1}))
            records += 1
        total.add(counts)
    return repeats


def _ask_about_unit(job: Job, output: Output, total: Counts) -> None:
    try:
        check_unit(total, asdict(job.reader))
    except DepthLMError:
        output.abandon()
        raise


def _write_chunk(job: Job, output: Output, number: int, items: Sequence[Item]) -> int:
    """Write a chunk and return how many frames it has; called in worker processes.

    The job comes first: what unpickles its reader makes the module known that items may need.
    """
    outcomes, records = job.label(items)
    lines = [json.dumps(record, ensure_ascii=False) for record in records]
    output.chunks.write(number, items, outcomes, lines)
    return len(items)


def _scale(job: Job, output: Output, items: Sequence[Item], chunk_frames: int) -> Evidence:
    """Return what some of the frames say of the scale."""
    outcomes = lru_cache(maxsize=_HEADS)(output.chunks.outcomes)

    def view_of(place: int) -> View | None:
        return outcomes(place // chunk_frames)[place % chunk_frames].view

    def load(place: int) -> Frame:
        return job.load(items[place], f"{job.dataset} {items[place].frame_id}")

    return check_scale(len(items), view_of, load)


def _describe(
    job: Job, output: Output, config: dict[str, Any], total: Counts, scale: Evidence | None
) -> None:
    title, facts = job.reader.card()
    official = job.reader.OFFICIAL if job.reader.compat else None
    kind = "as given" if job.reader.VERBATIM else _kind(job)
    card = data_card(output.name, config, title, facts, total, kind, official, scale)
    output.chunks.write_whole(output.card, card.encode())
    _draw_sheet(output)


def _draw_sheet(output: Output) -> None:
    """Write the contact sheet: some records, whole, as a model with the default settings sees them.

    A record that is refused at the default focal length has a tile that says why.
    """
    rows = open_rows(output.records)
    planner = Planner(
        DepthLMConfig(), output.name, (str(output.out),), train=False, multiple=_MULTIPLE_PX
    )
    chosen = spread(str(output.records), rows, _TILES)
    sheet, _ = draw_sheet(planner, rows, chosen, show_refused=True)
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    output.chunks.write_whole(output.sheet, buffer.getvalue())


def _kind(job: Job) -> str:
    official = job.reader.OFFICIAL if job.reader.compat else None
    return official.depth_kind if official else "distance"


def _reasons(total: Counts) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in total.left_out.most_common())
