"""Prompt templates: one YAML file per task and style, loaded, checked and tried (templates/)."""

from __future__ import annotations

import string
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from ..errors import ConfigError, did_you_mean
from ..kinds.units import another_unit_ahead, means
from ..resources import data_folder
from ..tasks import TASKS, Task, Truth
from ..tasks.written import DECIMALS
from .reading import read_answer
from .template import REFERENCES, Template

PARSES = ("answer_tag", "whole")
_KEYS = {
    "question", "answer", "reasoning", "system", "unit", "parse", "decimals", "point"
}  # fmt: skip
_NEEDED = {"question", "answer", "parse"}
_POINT = {
    "marker": "the point pointed by the {color} {marker}",
    "text": "the point at ({x}, {y})",
    "numbered": "the point marked {number}",
}
_PHRASE = {"marker": {"color", "marker"}, "text": {"x", "y"}, "numbered": {"number"}}
_MOST_DECIMALS = 6
_MOST_NESTED = 8
_MOST_BYTES = 2**17  # parsing it takes a second


@lru_cache
def load_template(task: str, style: str) -> Template:
    """Return the template of a task.

    Args:
        task: Name of the task.
        style: Name of a template in `templates/<task>/`; or a path: of a YAML file, or of a folder
            with `<task>.yaml`.

    Raises:
        ConfigError: When there is no such template (with the nearest name), or it is malformed.
    """
    if task not in TASKS:
        raise ConfigError(f"unknown task {task!r}{did_you_mean(task, list(TASKS))}")
    path = _find(task, style)
    try:
        content = _content(path)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} is no template: {error}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path} is no template; expected the keys {', '.join(sorted(_KEYS))}")
    problems = list(_key_problems(content))
    template = None if problems else _built(task, content)
    if template is not None:
        problems = list(_problems(template, TASKS[task]))
    if template is not None and not problems:
        problems = list(filter(None, [_round_trip_problem(template, TASKS[task])]))
    if problems or template is None:
        raise ConfigError(f"{path}: " + "; ".join(problems))
    return template


class _PlainLoader(yaml.SafeLoader):
    """Loads YAML that is not nested deep, and has no aliases, which can multiply without end."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it has an alias (*name); write the text out")
        self._depth += 1
        if self._depth > _MOST_NESTED:
            raise yaml.YAMLError(f"it is nested over {_MOST_NESTED} deep")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def _content(path: Path) -> Any:
    """Return what a YAML file holds.

    Raises:
        OSError: When it cannot be read.
        ValueError: For text that is not UTF-8 or is too long, numbers and dates that do not exist.
        yaml.YAMLError: For what is not YAML, is nested deep, or has an alias.
    """
    with path.open("rb") as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise ValueError(f"it has over {_MOST_BYTES} bytes")
    return yaml.load(data.decode(), _PlainLoader)


def is_path(style: str) -> bool:
    """Return whether a `prompt:` is the user's own file or folder."""
    return "/" in style or style.endswith(".yaml")


def template_files(tasks: Sequence[str], style: str) -> dict[str, Path]:
    """Return the user's own template files by task; none for a style of the package."""
    return {task: _find(task, style) for task in tasks} if is_path(style) else {}


def _find(task: str, style: str) -> Path:
    if is_path(style):
        path = Path(style).expanduser()
        path = path / f"{task}.yaml" if path.is_dir() else path
        if not path.is_file():
            raise ConfigError(
                f"prompt: {path} does not exist; expected a template for {task!r} (a YAML file,"
                f" or a folder that holds {task}.yaml)"
            )
        return path
    folder = data_folder("templates") / task
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    if style not in known:
        hint = did_you_mean(str(style), known)
        raise ConfigError(
            f"task {task!r}: unknown prompt {style!r}{hint}, or a path to a YAML file"
        )
    return folder / f"{style}.yaml"


def _key_problems(content: Mapping[str, Any]) -> Iterator[str]:
    for key in content:
        if key not in _KEYS:
            yield f"unknown key {key!r}{did_you_mean(str(key), sorted(_KEYS))}"
    for key in sorted(_NEEDED - content.keys()):
        yield f"key {key!r} is missing"
    question = content.get("question", "")
    texts = question if isinstance(question, list) else [question]
    if not texts or not all(isinstance(text, str) for text in texts):
        yield f"question must be a text or a list of texts, found {question!r}"
    if "answer" in content and not isinstance(content["answer"], str):
        yield f"answer must be a text, found {content['answer']!r}"
    for key in ("reasoning", "system", "unit"):
        if content.get(key) is not None and not isinstance(content[key], str):
            yield f"{key} must be a text, found {content[key]!r} (in YAML, put it in quotes)"
    parse = content.get("parse", PARSES[0])
    if parse not in PARSES:
        yield f"unknown parse {parse!r}{did_you_mean(str(parse), list(PARSES))}"
    decimals = content.get("decimals", {})
    if not isinstance(decimals, Mapping) or not all(
        type(number) is int and 0 <= number <= _MOST_DECIMALS for number in decimals.values()
    ):
        yield f"decimals must map placeholders to 0 .. {_MOST_DECIMALS}, found {decimals!r}"
    point = content.get("point", {})
    if not isinstance(point, Mapping) or not all(isinstance(text, str) for text in point.values()):
        yield f"point must map references to texts, found {point!r}"
    else:
        for key in point.keys() - set(REFERENCES):
            yield f"point: unknown reference {key!r}{did_you_mean(str(key), list(REFERENCES))}"


def _built(task: str, content: Mapping[str, Any]) -> Template:
    question = content["question"]
    return Template(
        task,
        tuple(question) if isinstance(question, list) else (question,),
        content["answer"],
        content.get("reasoning"),
        content.get("system"),
        content.get("unit") or TASKS[task].unit,
        content["parse"],
        {**TASKS[task].decimals, **content.get("decimals", {})},
        _POINT | dict(content.get("point", {})),
    )


def _problems(template: Template, task: Task) -> Iterator[str]:
    points = ["point"] if task.points == 1 else [f"point{n}" for n in range(1, task.points + 1)]
    asked = {*points, *task.given}
    for text in template.questions:
        yield from _placeholders("question", text, asked, asked)
    told = {*task.values, *task.worked, *task.words, *task.given}
    if template.reasoning is not None:
        yield from _placeholders("reasoning", template.reasoning, told, set())
    reason = set() if template.reasoning is None else {"reasoning"}
    yield from _placeholders("answer", template.answer, told | reason, {*task.values} | reason)
    for reference, text in template.point.items():
        yield from _placeholders(f"point.{reference}", text, _PHRASE[reference], set())
    for reference in ("text", "numbered"):
        yield from _placeholders(
            f"point.{reference}", template.point[reference], _PHRASE[reference], _PHRASE[reference]
        )
    for name in sorted(template.decimals.keys() - told):
        yield f"decimals: unknown placeholder {name!r}{did_you_mean(str(name), sorted(told))}"
    least = dict.fromkeys(task.values, task.kind.least_decimals)
    for name, fewest in {**least, **dict.fromkeys(task.worked, DECIMALS)}.items():
        digits = template.decimals.get(name, DECIMALS)
        if digits < fewest or (name in task.worked and digits != DECIMALS):
            yield f"decimals: {name} is written with {fewest}, found {digits}"
    if not means(template.unit, task.unit):
        # A word for the unit in another language is fine; another unit would be a wrong label.
        yield f"unit must be {task.unit!r}, which its values are in, found {template.unit!r}"
    for text in (template.answer, template.reasoning or ""):
        for name in task.values:
            for following in text.split(f"{{{name}}}")[1:]:
                unit = task.kind.units.get(name, task.unit)
                if (found := another_unit_ahead(following, unit)) is not None:
                    yield f"{{{name}}} is in {unit!r}, but {found!r} follows it"
    if template.parse == "answer_tag" and "<answer>" not in template.answer.lower():
        yield "parse is answer_tag, but answer has no <answer> ... </answer>"
    texts = (*template.questions, template.answer, template.reasoning, template.system)
    for tag in ("<image>", "<video>", "<audio>"):
        if any(tag in (text or "") for text in (*texts, *template.point.values())):
            yield f"{tag} is put where it belongs by itself; leave it out"


def _round_trip_problem(template: Template, task: Task) -> str | None:
    """Return why the template's own answer cannot be read back, or None when it can."""
    others = dict.fromkeys((*task.worked, *task.given), 3.0)
    words = dict.fromkeys(task.words, "forward")
    told = template.tell(Truth(task.example, told=others, words=words))
    answer = read_answer(told, template)
    wanted = {name: float(template.written(name, task.example[name])) for name in task.values}
    if answer.values == wanted:
        return None
    found = answer.reason if answer.values is None else dict(answer.values)
    return (
        f"its answer cannot be read back: {told!r} was read as {found}, expected"
        f" {wanted}; let all values stand in one <answer> </answer> or in none, with"
        " text between them"
    )


def _placeholders(key: str, text: str, known: set[str], needed: set[str]) -> Iterator[str]:
    try:
        fields = [part[1:] for part in string.Formatter().parse(text) if part[1] is not None]
    except ValueError as error:
        yield f"{key}: {error} (a brace that is text is written twice)"
        return
    for name, spec, conversion in fields:
        if spec or conversion:
            yield f"{key}: {{{name}}} takes no format; digits are set by decimals"
    found = [str(name) for name, _, _ in fields]
    for name in sorted(set(found) - known):
        yield f"{key}: unknown placeholder {{{name}}}{did_you_mean(name, sorted(known))}"
    for name in sorted(needed - set(found)):
        yield f"{key}: placeholder {{{name}}} is missing"
