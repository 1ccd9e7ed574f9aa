"""The machine that a recipe is for: its GPUs, and what is installed."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

from ...errors import ConfigError, did_you_mean

CARDS = {
    "T4": (16, 7.5),
    "V100": (32, 7.0),
    "RTX3090": (24, 8.6),
    "RTX4090": (24, 8.9),
    "RTX5090": (32, 12.0),
    "L4": (24, 8.9),
    "A10": (24, 8.6),
    "A40": (48, 8.6),
    "L40S": (48, 8.9),
    "A100": (80, 8.0),
    "H100": (80, 9.0),
    "H200": (141, 9.0),
    "B200": (180, 10.0),
}
"""NVIDIA's name -> memory in GB, of its largest model, and compute capability."""

_COUNTED = re.compile(r"(?:([1-9]\d*)\s*x\s*)?(.+)", re.IGNORECASE)
_QUERY = ("nvidia-smi", "--query-gpu=memory.total,compute_cap", "--format=csv,noheader,nounits")


def is_installed(package: str) -> bool:
    """Return whether a package can be imported here, without importing it."""
    return find_spec(package) is not None


@dataclass(frozen=True)
class Machine:
    """Where a recipe is to run.

    Attributes:
        gpus: How many, or None if that is not known.
        card_gb: Memory of each in GB, or None if that is not known.
        capability: NVIDIA's compute capability of each, or None if that is not known.
        has: Whether a package is installed, by the name that is imported.
    """

    gpus: int | None = None
    card_gb: int | None = None
    capability: float | None = None
    has: Callable[[str], bool] = is_installed


def machine_of(gpu: str | None) -> Machine:
    """Return the machine with these GPUs (`24GB`, `4x80GB`, `2xA100`), or with those that are here.

    Raises:
        ConfigError: For GPUs that are neither a memory nor a name of `CARDS`.
    """
    if gpu is None:
        return _here()
    match = _COUNTED.fullmatch(gpu.strip())
    assert match is not None or not gpu.strip()
    count, name = (int(match[1] or 1), match[2].strip()) if match else (1, "")
    memory = re.fullmatch(r"([1-9]\d*)\s*(?:GB?)?", name, re.IGNORECASE)
    if memory:
        return Machine(count, int(memory[1]))
    known = {card.lower(): facts for card, facts in CARDS.items()}
    facts = known.get(name.lower().replace(" ", ""))
    if facts is None:
        guess = did_you_mean(name, list(CARDS))
        raise ConfigError(f"--gpu must be such as 24GB, 4x80GB or 2xA100, found {gpu!r}{guess}")
    return Machine(count, *facts)


def _here() -> Machine:
    try:
        done = subprocess.run(_QUERY, capture_output=True, text=True, timeout=20, check=True)
        cards = [[float(cell) for cell in line.split(",")] for line in done.stdout.splitlines()]
        mib, capability = min(cards)
    except (OSError, subprocess.SubprocessError, ValueError):
        return Machine()  # no NVIDIA GPU, or none that says what it is
    return Machine(len(cards), round(mib * 2**20 / 1e9), capability)
