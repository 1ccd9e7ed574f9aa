"""The data card of a curation: what the records are, where from, and what was left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..reading import Official
from .audit import audit_lines
from .counts import SHOWN, Counts
from .scale import Evidence

_STRATEGIES = {
    "uniform": "uniform over the valid pixels of a frame",
    "log": "stratified by the logarithm of distance, as far as a frame offers it",
    "edges": "uniform over the valid pixels of a frame, away from depth edges",
}


def data_card(
    name: str,
    config: Mapping[str, Any],
    title: str,
    facts: Mapping[str, str],
    counts: Counts,
    depth_kind: str,
    official: Official | None,
    scale: Evidence | None,
) -> str:
    """Return the card as Markdown; it is the same for the same curation, wherever it ran.

    Args:
        name: Name of the curation.
        config: Its configuration, as `curation.json` has it.
        title: Title of the dataset's own card.
        facts: The card's facts, text by key.
        counts: What was counted.
        depth_kind: What the labels are: `distance`, `z` or `as given`.
        official: How they differ from correct ones; None: they do not.
        scale: What was found of the scale; None: it was not looked for.
    """
    split = config["split"] or "all"
    lines = [
        f"# {name}",
        "",
        title,
        "",
        f"Curated with `depthlm curate {config['dataset']}`. {counts.records} records,"
        f" {counts.points} labelled pixels, {len(counts.scenes)} scenes.",
        "",
        "| | |",
        "|---|---|",
        *(f"| {key} | {_cell(text)} |" for key, text in facts.items()),
        f"| Split here | {split}"
        + (f", first {config['limit']} frames |" if config["limit"] else " |"),
        f"| Labels | {_KINDS[depth_kind]}, metres |",
        f"| Points | up to {config['points']} a frame, {_STRATEGIES[config['sampling']]}, seed"
        f" {config['seed']} |",
        f"| Pictures | {_pictures(config['images'])} |",
        *(f"| Option {key} | `{value}` |" for key, value in config["options"].items()),
        "",
    ]
    if official is not None:
        lines += [
            "**These are the labels as DepthLM published them (`--compat official`), for comparison"
            f" with published numbers only.** {official.note}",
            "",
        ]
    lines += ["## Labels", "", _distribution(counts), ""]
    lines += ["## Audit", "", *audit_lines(counts), ""]
    if scale is not None:
        lines += ["## Scale", "", "| | |", "|---|---|", *scale.lines(), ""]
        lines += [text for said in scale.warnings() for text in (f"**{said.capitalize()}**", "")]
    lines += ["## Counts", "", "| frames | |", "|---|---|", f"| looked at | {counts.frames} |"]
    lines += [f"| records | {counts.records} |"]
    lines += [f"| of these with fewer than {config['points']} points | {counts.short} |"]
    lines += [f"| {_cell(words)} | {count} |" for words, count in sorted(counts.noted.items())]
    lines += [
        f"| of these without {what} | {count} |" for what, count in sorted(counts.lacking.items())
    ]
    lines += [
        f"| left out: {reason} | {count} |" for reason, count in sorted(counts.left_out.items())
    ]
    lines += [
        f"| points left out: {reason} | {count} |"
        for reason, count in sorted(counts.dropped.items())
    ]
    if counts.messages:
        lines += ["", f"The first problems (up to {SHOWN}):", ""]
        lines += [f"- {message}" for message in counts.messages]
    lines += ["", "![Some of the records as a model sees them](sheet.png)", ""]
    return "\n".join(lines)


def _pictures(images: str | None) -> str:
    if images is None:
        return "as they are in the raw data"
    return (
        f"{images.replace('jpeg', 'JPEG, quality 95, 4:4:4, undistorted, fx = fy')}, or less where"
        " the raw picture has less"
    )


_KINDS = {
    "distance": "Euclidean distance from the camera centre",
    "z": "z, along the principal axis",
    "as given": "of the quantity that each record names",
}


def _distribution(counts: Counts) -> str:
    shares = (0.01, 0.5, 0.99)
    numbers = ", ".join(f"p{share * 100:g} {counts.quantile_m(share):.3g} m" for share in shares)
    return f"{numbers} (to 0.5 %)."


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
