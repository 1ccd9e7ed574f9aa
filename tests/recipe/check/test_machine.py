"""The GPUs that `--gpu` names."""

from __future__ import annotations

import pytest

from depthlm_plugin.errors import ConfigError
from depthlm_plugin.recipe.check.machine import is_installed, machine_of


@pytest.mark.parametrize(
    ("gpu", "expected"),
    [
        ("24GB", (1, 24, None)),
        ("24", (1, 24, None)),
        ("4x80GB", (4, 80, None)),
        ("4 x 80 gb", (4, 80, None)),
        ("T4", (1, 16, 7.5)),
        ("2xa100", (2, 80, 8.0)),
        ("RTX 4090", (1, 24, 8.9)),
    ],
)
def test_gpus_are_read(gpu: str, expected: tuple[int, int, float | None]) -> None:
    machine = machine_of(gpu)
    assert (machine.gpus, machine.card_gb, machine.capability) == expected


@pytest.mark.parametrize("gpu", ["", "0x80GB", "a lot", "H10O"])
def test_what_is_none_is_refused(gpu: str) -> None:
    with pytest.raises(ConfigError, match="such as 24GB, 4x80GB or 2xA100"):
        machine_of(gpu)


def test_packages_are_looked_for() -> None:
    assert is_installed("numpy")
    assert not is_installed("no_such_package")
