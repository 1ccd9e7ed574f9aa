"""Writes the folder `recipes/` and the table of its README again, from the table of base VLMs.

PYTHONPATH=tests python -m support.recipes
"""

from __future__ import annotations

from depthlm_plugin.recipe.bases import BASES
from depthlm_plugin.recipe.shipped import SHIPPED
from depthlm_plugin.recipe.writer import Recipe
from support.host_tools import ROOT

FOLDER = ROOT / "recipes"
README = FOLDER / "README.md"
COLUMNS = ("base VLM", "sees, at most", "LoRA", "4-bit QLoRA", "all weights", "evaluation")
OTHERS = {
    "depthlm_qwen_multitask_lora": "Qwen2.5-VL-3B, all nine tasks",
    "vlm3_qwen3vl_lora": "Qwen3-VL-4B, coordinates in text, 10 questions an image",
}


def written() -> dict[str, str]:
    """The text of every file by its name, as the table says it."""
    return {f"{name}.yaml": recipe.text() for name, recipe in SHIPPED.items()}


def table() -> str:
    """The table of the README: a base in a row, its recipes with the card of each."""
    rows = [COLUMNS, ("---",) * len(COLUMNS)]
    for base in BASES:
        named = [f"depthlm_{base.stem}_{method}" for method in ("lora", "qlora", "full")]
        rows.append(_row(base.name, [*named, f"depthlm_{base.family.name}_eval"]))
        for name, title in OTHERS.items():
            if SHIPPED[name].base == base:
                rows.append(_row(title, [name, "", "", f"depthlm_{base.family.name}_eval"]))
    return "".join(
        "|" + "".join(f" {cell} |".replace("  |", " |") for cell in row) + "\n" for row in rows
    )


def _row(title: str, names: list[str]) -> tuple[str, ...]:
    found = [SHIPPED.get(name) for name in names]
    view = next(recipe.view for recipe in found if recipe)
    sees = "{}x{}, f = {}".format(*view.largest_wh, view.focal_px)
    return (title, sees, *(_cell(recipe) for recipe in found))


def _filled(cell: str) -> str:
    return f" {cell} |" if cell else " |"


def _cell(recipe: Recipe | None) -> str:
    if recipe is None:
        return ""
    if recipe.method == "eval":
        return f"`{recipe.name}`"
    several = f"{recipe.plan.gpus} x " if recipe.plan.gpus > 1 else ""
    return f"`{recipe.name}` {several}{recipe.plan.card_gb} GB"


def shown_table() -> str:
    """The table that the README has."""
    lines = README.read_text(encoding="utf-8").splitlines(keepends=True)
    first = next(at for at, line in enumerate(lines) if line.startswith(f"| {COLUMNS[0]} |"))
    rows = lines[first : lines.index("\n", first)]
    return "".join(rows)


if __name__ == "__main__":
    texts = written()
    for path in FOLDER.glob("*.yaml"):
        if path.name not in texts:
            path.unlink()
    for file_name, text in texts.items():
        (FOLDER / file_name).write_text(text, encoding="utf-8")
    page = README.read_text(encoding="utf-8")
    README.write_text(page.replace(shown_table(), table()), encoding="utf-8")
