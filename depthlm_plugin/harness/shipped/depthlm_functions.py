"""What the YAML files beside this one call. depthlm-plugin does the work; this says where it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from depthlm_plugin.harness import lmms

aggregate = lmms.aggregate
_FOLDER = Path(__file__).resolve().parent


def doc_to_messages(doc: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the turns of a question, for models with a chat template."""
    return lmms.messages(doc, _FOLDER)


def doc_to_visual(doc: dict[str, Any]) -> list[Any]:
    """Return the pictures of a question, for the other models."""
    return lmms.pictures(doc, _FOLDER)


def process_results(doc: dict[str, Any], results: list[str]) -> dict[str, Any]:
    """Return what is measured of an answer."""
    return lmms.measured(doc, results[0], _FOLDER)
