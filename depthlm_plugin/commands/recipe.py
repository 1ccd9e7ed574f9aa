"""`depthlm recipe` lists the shipped recipes, shows one, writes one for a card, or checks one."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

from ..errors import ConfigError, did_you_mean
from ..recipe.variants import VARIANTS

METHODS = ("lora", "qlora", "full")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `depthlm recipe`."""
    parser.description = (
        "`depthlm recipe new BASE --method lora --data NAME --gpu 24GB --out my.yaml` writes a"
        " recipe of your own: start it with `llamafactory-cli train my.yaml`."
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
    new = actions.add_parser("new", help="write one that fits a card")
    new.add_argument("base", help="of the table, on the hub (downloaded before), or a folder")
    new.add_argument("--method", choices=METHODS, required=True)
    new.add_argument(
        "--data", nargs="+", required=True, metavar="NAME", help="in dataset_info.json"
    )
    new.add_argument("--gpu", required=True, help="such as 24GB, or 4x80GB")
    new.add_argument("--out", help="the recipe's file (default: print it)")
    new.set_defaults(act=_new)
    check = actions.add_parser("check", help="what is wrong with one, all at once, without weights")
    check.add_argument("recipe", metavar="RECIPE", help="its YAML file")
    check.add_argument(
        "overrides", nargs="*", metavar="KEY=VALUE", help="as after llamafactory-cli train RECIPE"
    )
    check.add_argument(
        "--gpu", help="such as 24GB, 4x80GB or 2xA100 (default: what nvidia-smi sees here)"
    )
    check.add_argument("--json", action="store_true", help="print one JSON object")
    check.set_defaults(act=_check)


def run(args: argparse.Namespace) -> int:
    """List the recipes, print one, write one, or check one; 1 if a check found an error."""
    return args.act(args) or 0


def _list(args: argparse.Namespace) -> None:
    """Print the table; memory for each GPU and time for 1 000 samples are estimates."""
    from ..recipe.flops import duration
    from ..recipe.shipped import SHIPPED  # it imports jinja2

    rows = [("recipe", "base", "method", "GPUs", "memory", "1000 samples")]
    for name, recipe in SHIPPED.items():
        if recipe.method == "eval":
            rows.append((name, recipe.view.title, "evaluation", "", "", ""))
            continue
        found = recipe.plan
        card = f"{found.gpus} x {found.card_gb} GB"
        memory, time = f"{found.memory.total_gb:.0f} GB", duration(found.seconds)
        rows.append((name, recipe.base.name, recipe.method, card, memory, time))
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


def _new(args: argparse.Namespace) -> None:
    from ..recipe.new import new_recipe
    from ..recipe.plan import described
    from ..recipe.writer import taken

    if args.out and Path(args.out).exists():
        raise ConfigError(f"{args.out} is there already; remove it, or choose another --out")
    recipe = new_recipe(args.base, args.method, args.data, args.gpu, args.out)
    text = recipe.text()
    if not args.out:
        sys.stdout.write(text)
        return
    Path(args.out).write_text(text, encoding="utf-8")
    found = recipe.plan
    print(
        f"{args.out}: {recipe.base.name}, batch {found.batch} x {found.accumulation} on each of"
        f" {found.gpus} GPU(s) of {found.card_gb} GB; estimate {described(found.memory)},"
        f" {taken(found)}",
        file=sys.stderr,
    )


def _check(args: argparse.Namespace) -> int:
    """Print every finding; return 1 if one is an error."""
    from ..host import compat
    from ..recipe.check.checks import findings_of
    from ..recipe.check.facts import facts_of
    from ..recipe.check.finding import ERROR
    from ..recipe.check.machine import machine_of
    from ..recipe.check.report import as_json, as_text, lines_of
    from ..recipe.check.settings import read_settings

    machine = replace(machine_of(args.gpu), problem=compat.problem())
    recipe = read_settings(args.recipe, args.overrides, machine)
    findings, facts, lines = findings_of(recipe), facts_of(recipe), lines_of(args.recipe)
    if args.json:
        print(json.dumps(as_json(findings, facts, recipe, lines)))
    else:
        print(as_text(findings, facts, recipe, lines))
    return int(any(finding.level == ERROR for finding in findings))
