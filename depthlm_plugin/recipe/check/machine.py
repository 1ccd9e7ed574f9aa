"""The machine that a recipe is for: its GPUs, and what is installed."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

from ...errors import ConfigError, did_you_mean

CARDS = {
    "T4": (16, 7.5, 65),
    "V100": (32, 7.0, 125),
    "RTX3090": (24, 8.6, 71),
    "RTX4090": (24, 8.9, 165),
    "RTX5090": (32, 12.0, 210),
    "L4": (24, 8.9, 121),
    "A10": (24, 8.6, 125),
    "A40": (48, 8.6, 150),
    "L40S": (48, 8.9, 362),
    "A100": (80, 8.0, 312),
    "H100": (80, 9.0, 989),
    "H200": (141, 9.0, 989),
    "B200": (180, 10.0, 2250),
}
"""NVIDIA's name -> memory in GB, of its largest model, compute capability, and dense teraflops."""

_COUNTED = re.compile(r"(?:([1-9]\d*)\s*x\s*)?(.+)", re.IGNORECASE)
_QUERY = (
    "nvidia-smi",
    "--query-gpu=memory.total,compute_cap,name",
    "--format=csv,noheader,nounits",
)


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
        name: NVIDIA's name of the card, where it is one of `CARDS`.
        teraflops: Of the card in 16 bits, as the maker states it, or None if that is not known.
        problem: What is wrong with the versions that are installed, empty if nothing.
    """

    gpus: int | None = None
    card_gb: int | None = None
    capability: float | None = None
    has: Callable[[str], bool] = is_installed
    name: str = ""
    teraflops: float | None = None
    problem: str = ""


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
    known = {card.lower(): card for card in CARDS}
    card = known.get(name.lower().replace(" ", ""))
    if card is None:
        guess = did_you_mean(name, list(CARDS))
        raise ConfigError(f"--gpu must be such as 24GB, 4x80GB or 2xA100, found {gpu!r}{guess}")
    card_gb, capability, teraflops = CARDS[card]
    return Machine(count, card_gb, capability, name=card, teraflops=teraflops)


def _here() -> Machine:
    try:
        done = subprocess.run(_QUERY, capture_output=True, text=True, timeout=20, check=True)
        cards = [line.split(",") for line in done.stdout.splitlines()]
        mib, capability, named = min((float(mib), float(cap), name) for mib, cap, name in cards)
    except (OSError, subprocess.SubprocessError, ValueError):
        return Machine()  # no NVIDIA GPU, or none that says what it is
    words = set(re.findall(r"\w+", named.replace("RTX ", "RTX")))
    name = next((card for card in CARDS if card in words), "")
    teraflops = CARDS[name][2] if name else None
    card_gb = round(mib * 2**20 / 1e9)
    return Machine(len(cards), card_gb, capability, name=name, teraflops=teraflops)
