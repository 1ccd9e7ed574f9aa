"""`depthlm recipe` lists the shipped recipes, or prints one, for those who installed a wheel."""

from __future__ import annotations

import argparse
import sys

from ..errors import DepthLMError, did_you_mean
from ..resources import data_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `depthlm recipe`."""
    parser.description = (
        "`depthlm recipe show NAME > my.yaml` makes a recipe of your own: edit its paths, and start"
        " it with `llamafactory-cli train my.yaml`."
    )
    parser.add_argument("action", choices=["list", "show"], help="list all, or print one")
    parser.add_argument("name", nargs="?", help="of the recipe to show")


def run(args: argparse.Namespace) -> int:
    """List the recipes, or print one."""
    texts = {
        path.stem: path.read_text(encoding="utf-8")
        for path in sorted(data_folder("recipes").glob("*.yaml"))
    }
    if args.action == "list":
        width = max(map(len, texts))
        for name, text in texts.items():
            print(f"{name:{width}}  {_first_sentence(text)}")
        return 0
    if args.name is None:
        raise DepthLMError(f"which recipe? known: {', '.join(texts)}")
    name = args.name.removesuffix(".yaml")
    if name not in texts:
        raise DepthLMError(f"unknown recipe {name!r}{did_you_mean(name, list(texts))}")
    sys.stdout.write(texts[name])
    return 0


def _first_sentence(recipe: str) -> str:
    """Return the first sentence of the comment that a recipe opens with."""
    lines = [line.removeprefix("#").strip() for line in recipe.splitlines()]
    return " ".join(lines[: lines.index("")]).partition(". ")[0].removesuffix(".") + "."
