"""Writes the model card: README.md beside the weights, as the Hugging Face hub reads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from .. import __version__
from ..config.block import DepthLMConfig
from ..language.templates import load_template
from ..scoring.intervals import LEVEL
from ..tasks import TASKS
from .evaluation import answers
from .origin import Training, on_hub

CARD = "README.md"
_METHODS = {"lora": "LoRA", "oft": "OFT", "freeze": "some layers", "full": "all weights"}
_LABELS = {
    "distance": "Euclidean distance from the camera centre, metres",
    "z": "z, along the principal axis, metres",
}


def write_card(
    folder: str | Path,
    name: str,
    config: DepthLMConfig,
    training: Training,
    scores: Mapping[str, Any] | None,
    *,
    adapter: bool,
) -> Path:
    """Write the card of a model into its folder; return its path.

    Args:
        folder: Of the weights.
        name: Of the model: on the hub, or that of its folder.
        config: What it was taught to see and answer.
        training: How it came to be.
        scores: Of these very weights (`evaluation.brief`), or None.
        adapter: Whether the folder holds an adapter of the model that was loaded.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"cell": _cell}
    method = _METHODS.get(training.get("method", ""), "fine-tuned")
    text = environment.get_template("card.md.j2").render(
        front=yaml.safe_dump(
            _front(name, training, scores, adapter), sort_keys=False, allow_unicode=True
        ),
        name=name,
        title=name.rpartition("/")[2],
        config=config,
        label=_LABELS[config.label],
        questions=list(_questions(config)),
        training=training,
        method=f"{method} on {training['bits']}-bit weights" if training.get("bits") else method,
        rows=[_row(part) for part in (scores or {}).get("parts", ())],
        answers=answers(scores) if scores else 0,
        level=f"{LEVEL:.0%}",
        adapter=adapter,
        on_hub=on_hub,
        version=__version__,
    )
    path = Path(folder, CARD)
    path.write_text(text, encoding="utf-8")
    return path


def _front(
    name: str, training: Training, scores: Mapping[str, Any] | None, adapter: bool
) -> dict[str, Any]:
    """Return the card's metadata; a licence is its author's to give."""
    base = training["model"] if on_hub(training["model"]) else training["base"]
    hub_data = [data["hub"] for data in (*training["datasets"], *training["earlier"])]
    front: dict[str, Any] = {
        "library_name": "peft" if adapter else "transformers",
        "pipeline_tag": "image-text-to-text",
        **({"base_model": base} if on_hub(base) else {}),
        "tags": ["depthlm", "metric-depth", "depth-estimation", "llama-factory"],
    }
    if method := training.get("method"):
        front["tags"].append(method)
    if any(hub_data):
        front["datasets"] = list(dict.fromkeys(filter(None, hub_data)))
    if scores:
        results = [_result(part) for part in scores["parts"]]
        front["model-index"] = [{"name": name.rpartition("/")[2], "results": results}]
    return front


def _result(part: Mapping[str, Any]) -> dict[str, Any]:
    row = _row(part)
    said = f"{row['metric']}, {row['n']} answers"
    if row["interval"]:
        said += f", {LEVEL:.0%} interval {row['interval']}"
    return {
        "task": {"type": "image-text-to-text", "name": part["task"]},
        "dataset": {"type": part["dataset"], "name": part["dataset"]},
        "metrics": [{"type": row["metric"], "name": said, "value": row["exact"]}],
    }


def _row(part: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a line of the scores says of one dataset and task."""
    metrics, kind = part["metrics"], TASKS[part["task"]].kind
    limits = part["intervals"].get(kind.main)
    return {
        "dataset": part["dataset"],
        "task": part["task"],
        "n": int(metrics["n"]),
        "metric": kind.main,
        "exact": metrics[kind.main],
        "value": _number(metrics[kind.main]),
        "interval": "" if limits is None else " to ".join(map(_number, limits)),
        "constant": _number(metrics.get(kind.constant or "")),
        "unread": _number(metrics["parse_failure_rate"]),
    }


def _questions(config: DepthLMConfig) -> Iterator[tuple[str, str, str, str | None]]:
    """Yield of each task its name, question, form of an answer, and the system's turn."""
    colors = config.marker_color, config.marker_color_2
    for name in config.tasks:
        task, template = TASKS[name], load_template(name, config.prompt)
        points = [
            template.name_point(
                config.reference, color=color, marker=config.marker, x="X", y="Y", number=number
            )
            for number, color in zip(range(1, task.points + 1), colors, strict=False)
        ]
        told = (*task.values, *task.worked, *task.words, *task.given)
        fields = {name: f"{{{name}}}" for name in told}
        named = ["point"] if task.points == 1 else [f"point{n}" for n in range(1, task.points + 1)]
        question = template.questions[0].format(**fields, **dict(zip(named, points, strict=True)))
        fields["reasoning"] = (template.reasoning or "").format(**fields)
        yield name, question, template.answer.format(**fields), template.system


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _cell(text: object) -> str:
    """Return a text that may come from anywhere as one line of a Markdown table."""
    return " ".join(str(text).split()).replace("|", "\\|").replace("<", "&lt;")
