"""Prompt templates: one YAML file per task and style, loaded, checked and filled."""

from __future__ import annotations

import string
from dataclasses import dataclass, fields
from functools import lru_cache

import yaml

from .errors import ConfigError, did_you_mean
from .resources import data_folder


@dataclass(frozen=True)
class Template:
    """A question, the answer the model is trained to give, and how to read an answer back.

    Attributes:
        question: Text of the user's turn, without the image.
        answer: Text of the model's turn; `{value}` is the number.
        unit: Unit of the number.
        parse: `answer_tag`: the number stands in `<answer> </answer>`; `number`: it stands alone.
    """

    question: str
    answer: str
    unit: str
    parse: str

    def fill(self, value: float) -> str:
        """Return the answer text for a target in the template's unit."""
        return self.answer.format(value=format_value(value))


def format_value(value: float) -> str:
    """Return a number as the model is taught to write it: `2.35`.

    Two decimals as published; below 0.1 two significant digits, because 0.004 written as `0.00`
    would be a wrong label.
    """
    text = f"{value:.2f}"
    if value >= 0.1 or value <= 0:
        return text
    return f"{value:.{_decimals(value)}f}"


def _decimals(value: float) -> int:
    exponent = int(f"{value:.1e}".partition("e")[2])
    return 1 - exponent


@lru_cache
def load_template(task: str, style: str) -> Template:
    """Return templates/<task>/<style>.yaml.

    Raises:
        ConfigError: When there is no such template (with the nearest name), or it is malformed.
    """
    folder = data_folder("templates") / task
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    if style not in known:
        raise ConfigError(f"unknown prompt {style!r}{did_you_mean(str(style), known)}")
    path = folder / f"{style}.yaml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    names = {field.name for field in fields(Template)}
    if not isinstance(content, dict) or content.keys() != names:
        raise ConfigError(f"{path} must have exactly the keys {', '.join(sorted(names))}")
    template = Template(**content)
    placeholders = [name for _, name, _, _ in string.Formatter().parse(template.answer) if name]
    if set(placeholders) != {"value"}:
        raise ConfigError(f"{path}: answer must hold {{value}} and no other, found {placeholders}")
    if template.parse not in ("answer_tag", "number"):
        raise ConfigError(f"{path}: parse must be answer_tag or number, found {template.parse!r}")
    return template
