"""Collects the rows that the benchmarks report and prints them as one table at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

ROWS: list[str] = []
HEADER = ["| what | baseline ms | ours ms | p10 ratio | median ratio |", "|---|---|---|---|---|"]


@pytest.fixture(scope="session")
def rounds(request: pytest.FixtureRequest) -> int:
    """How often to measure: once each in the test suite, properly when asked for by path."""
    asked = any("benchmarks" in argument for argument in request.config.args)
    return 15 if asked else 1


@pytest.fixture(scope="session")
def report() -> Any:
    """Add one line to the table."""
    return ROWS.append


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.filterwarnings("error:::depthlm_plugin"))
            item.add_marker(pytest.mark.filterwarnings("default"))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if ROWS:
        terminalreporter.section("speed: CPU time of one thread, both sides interleaved in one run")
        for line in HEADER + ROWS:
            terminalreporter.write_line(line)
