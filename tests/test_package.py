"""The wheel: what is inside, and that it works without the repository."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out)]
    result = subprocess.run([*command, str(ROOT)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    (path,) = out.glob("*.whl")
    return path


def test_wheel_holds_recipes_templates_types_and_entry_points(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        entry_points = next(name for name in names if name.endswith("entry_points.txt"))
        points = archive.read(entry_points).decode()
    for folder in ("recipes", "templates"):
        for path in (ROOT / folder).rglob("*.yaml"):
            assert f"depthlm_plugin/{path.relative_to(ROOT).as_posix()}" in names
    for name in (
        "py.typed", "card/card.md.j2", "report/content.j2", "recipe/train.j2", "recipes/grpo.py",
        "harness/shipped/depthlm_functions.py",
    ):  # fmt: skip
        assert f"depthlm_plugin/{name}" in names
    assert not [name for name in names if name.startswith("tests")]
    assert "[torch.backends]\ndepthlm = depthlm_plugin.autoload:activate" in points


def test_wheel_works_without_the_repository(wheel: Path, tmp_path: Path, run_python) -> None:
    with zipfile.ZipFile(wheel) as archive:  # a wheel is installed by unpacking it
        archive.extractall(tmp_path)
    result = run_python(
        "import depthlm_plugin, sys; from depthlm_plugin.cli import main\n"
        f"assert depthlm_plugin.__file__.startswith({str(tmp_path)!r})\n"
        "from depthlm_plugin.language.templates import load_template\n"
        "load_template('depth', 'plain')\n"
        "sys.exit(main(['recipe', 'show', 'depthlm_qwen_lora']))",
        PYTHONPATH=str(tmp_path),
    )
    recipe = (ROOT / "recipes" / "depthlm_qwen_lora.yaml").read_text(encoding="utf-8")
    assert result.stdout == recipe
