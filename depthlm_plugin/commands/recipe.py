"""`depthlm recipe`: the shipped recipes, for those who installed a wheel."""

from __future__ import annotations

import argparse
import sys

from ..errors import DepthLMError, did_you_mean
from ..resources import data_folder


def run(args: argparse.Namespace) -> int:
    """List the recipes, or print one."""
    recipes = {path.stem: path for path in sorted(data_folder("recipes").glob("*.yaml"))}
    if args.action == "list":
        for name, path in recipes.items():
            first_line = path.read_text(encoding="utf-8").splitlines()[0]
            print(f"{name:24}{first_line.removeprefix('# ')}")
        return 0
    if args.name is None:
        raise DepthLMError(f"which recipe? known: {', '.join(recipes)}")
    name = args.name.removesuffix(".yaml")
    if name not in recipes:
        raise DepthLMError(f"unknown recipe {name!r}{did_you_mean(name, list(recipes))}")
    sys.stdout.write(recipes[name].read_text(encoding="utf-8"))
    return 0
