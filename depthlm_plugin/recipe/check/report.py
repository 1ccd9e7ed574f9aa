"""What `depthlm recipe check` prints: each finding with its place and the line that mends it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from .facts import Fact
from .finding import ERROR, LEFT_OUT, WARNING, Finding
from .settings import Settings

_BLOCK = "depthlm."


def lines_of(path: str) -> dict[str, int]:
    """Return in which line of a recipe each key stands, those of the block as `depthlm.KEY`."""
    node = yaml.compose(Path(path).read_text(encoding="utf-8"), yaml.SafeLoader)
    lines: dict[str, int] = {}
    if not isinstance(node, yaml.MappingNode):
        return lines
    for key, value in node.value:
        lines[str(key.value)] = key.start_mark.line + 1
        if key.value == "depthlm" and isinstance(value, yaml.MappingNode):
            lines |= {_BLOCK + inner.value: inner.start_mark.line + 1 for inner, _ in value.value}
    return lines


def place_of(finding: Finding, recipe: Settings, lines: dict[str, int]) -> str:
    """Return where the key of a finding was set: `my.yaml:11`, the command line, or the file."""
    if finding.key in recipe.given:
        return "command line"
    line = lines.get(finding.key)
    return f"{recipe.path}:{line}" if line else recipe.path


def as_text(
    findings: Sequence[Finding], facts: Sequence[Fact], recipe: Settings, lines: dict[str, int]
) -> str:
    """Return the findings for people, errors first, what is known, and how many there are."""
    parts = []
    for level in (ERROR, WARNING, LEFT_OUT):
        for finding in findings:
            if finding.level == level:
                where = "" if level == LEFT_OUT else f" ({place_of(finding, recipe, lines)})"
                parts.append(f"{level}: {finding.key}{where}: {finding.message}")
                if finding.change:
                    parts.append(f"    {finding.change}")
    parts += [f"{fact.name}: {fact.message}" for fact in facts]
    count = Counter(finding.level for finding in findings)
    parts.append(
        f"{recipe.path}: {count[ERROR]} errors, {count[WARNING]} warnings,"
        f" {count[LEFT_OUT]} left out"
    )
    return "\n".join(parts)


def as_json(
    findings: Sequence[Finding], facts: Sequence[Fact], recipe: Settings, lines: dict[str, int]
) -> dict[str, Any]:
    """Return the findings for programs; of facts that are not known, null."""
    count = Counter(finding.level for finding in findings)
    return {
        "recipe": recipe.path,
        "errors": count[ERROR],
        "warnings": count[WARNING],
        "findings": [
            {
                "level": finding.level,
                "key": finding.key,
                "line": None if finding.key in recipe.given else lines.get(finding.key),
                "message": finding.message,
                "change": finding.change or None,
            }
            for finding in findings
        ],
        "facts": {fact.name: fact.values or None for fact in facts},
    }
