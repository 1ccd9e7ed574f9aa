"""`depthlm recipe` lists the shipped recipes, or prints one, for those who installed a wheel."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

from ..errors import ConfigError, did_you_mean
from ..recipe.variants import VARIANTS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `depthlm recipe`."""
    parser.description = (
        "`depthlm recipe show NAME > my.yaml` makes a recipe of your own: edit its paths, and start"
        " it with `llamafactory-cli train my.yaml`."
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="a table of all: base, method, card, memory")
    listing.set_defaults(act=_list)
    show = actions.add_parser("show", help="print one")
    show.add_argument("name", help="of the recipe")
    show.add_argument("--explain", action="store_true", help="with a comment above each key")
    show.add_argument(
        "--with", choices=VARIANTS, dest="variant", help="with the section for several GPUs"
    )
    show.set_defaults(act=_show)


def run(args: argparse.Namespace) -> int:
    """List the recipes, or print one."""
    args.act(args)
    return 0


def _list(args: argparse.Namespace) -> None:
    """Print the table; memory is an estimate for each GPU (`recipe/memory.py`)."""
    from ..recipe.shipped import SHIPPED  # it imports jinja2

    rows = [("recipe", "base", "method", "GPUs", "estimate")]
    for name, recipe in SHIPPED.items():
        if recipe.method == "eval":
            rows.append((name, recipe.view.title, "evaluation", "", ""))
            continue
        found = recipe.plan
        card = f"{found.gpus} x {found.card_gb} GB"
        rows.append(
            (name, recipe.base.name, recipe.method, card, f"{found.memory.total_gb:.0f} GB")
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (f"{cell:{width}}" for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())


def _show(args: argparse.Namespace) -> None:
    from ..recipe.explain import explained
    from ..recipe.shipped import SHIPPED

    name = args.name.removesuffix(".yaml")
    if name not in SHIPPED:
        raise ConfigError(f"unknown recipe {name!r}{did_you_mean(name, list(SHIPPED))}")
    recipe = SHIPPED[name]
    if args.variant:
        if recipe.method == "eval":
            raise ConfigError(
                "several GPUs need no section to evaluate: LLaMA-Factory uses all that it sees"
            )
        recipe = replace(recipe, variant=args.variant)
    text = recipe.text()
    sys.stdout.write(explained(text) if args.explain else text)
