"""The picture of the imports: no circle, no arrow upwards, LLaMA-Factory in its place.

Imports inside functions and under `TYPE_CHECKING` count as any other.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "depthlm_plugin"
PUBLIC_FACE = "depthlm_plugin"  # its __init__ names what stands far above it, lazily

# From the bottom to the top; what shares a line does not import each other.
LAYERS = [
    {"errors", "seeds", "resources", "autoload_modules"},
    {"geometry"},
    {"records"},
    {"views"},
    {"cameras", "kinds"},
    {"tasks"},
    {"language"},
    {"config"},
    {"sampling"},
    {"scoring"},
    {"rewards", "pictures", "card", "maps"},
    {"recipe"},
    {"host"},
    {"predict"},
    {"curate", "bench", "harness", "demo", "scenes"},
    {"report", "app"},
    {"commands"},
    {"cli", "autoload"},
]


def modules() -> dict[str, Path]:
    """Every module of the package, by its dotted name within it."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        if "shipped" in path.parts:  # copied beside a task folder, run there
            continue
        parts = list(path.relative_to(PACKAGE).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def arrows(name: str) -> Iterator[str]:
    """Yield the modules of the package that one imports, anywhere in its text."""
    path = MODULES[name]
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    package = [part for part in package if part]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        base = package[: len(package) - (node.level - 1)]
        source = ".".join([*base, *([node.module] if node.module else [])])
        for alias in node.names:
            inner = f"{source}.{alias.name}".lstrip(".")
            target = inner if inner in MODULES else source
            if target != name:
                yield target


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Return a circle of a graph, or nothing."""
    state: dict[str, int] = {}
    trail: list[str] = []

    def visit(node: str) -> list[str]:
        state[node] = 1
        trail.append(node)
        for target in sorted(graph.get(node, ())):
            if state.get(target) == 1:
                return trail[trail.index(target) :]
            if target not in state and (found := visit(target)):
                return found
        trail.pop()
        state[node] = 2
        return []

    for node in sorted(graph):
        if node not in state and (found := visit(node)):
            return found
    return []


@pytest.fixture(scope="module")
def graph() -> dict[str, set[str]]:
    """What each module imports; read by the process of these tests, not by each that collects."""
    return {name: {target for target in arrows(name) if target} for name in MODULES if name}


def test_no_circle_of_modules(graph: dict[str, set[str]]) -> None:
    assert not circle(graph)


def test_circles_are_found() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c"]


def layer(name: str) -> int:
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        for height, places in enumerate(LAYERS):
            if ".".join(parts[:length]) in places:
                return height
    raise AssertionError(f"{name} stands on no layer")


def test_no_arrow_upwards(graph: dict[str, set[str]]) -> None:
    wrong = [
        f"{name} imports {target}, which is not below"
        for name, targets in graph.items()
        for target in sorted(targets)
        if name.split(".")[0] != target.split(".")[0] and layer(target) >= layer(name)
    ]
    assert wrong == []


def test_only_the_host_imports_llamafactory() -> None:
    users = {
        name.split(".")[0]
        for name, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.ImportFrom) and (node.module or "").startswith("llamafactory"))
        or (
            isinstance(node, ast.Import)
            and any(alias.name.startswith("llamafactory") for alias in node.names)
        )
    }
    assert users == {"host"}


def test_few_modules_at_the_root() -> None:
    assert len([path for path in PACKAGE.glob("*.py")]) <= 10
