"""`depthlm doctor` says whether this environment can train, and if not, what to change."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, entry_points, requires, version

_INSTALL = "pip install --upgrade depthlm-plugin"


@dataclass(frozen=True)
class Check:
    """One finding; `fix` says what to do when it is not `ok`."""

    name: str
    ok: bool
    found: str
    fix: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `depthlm doctor`."""
    parser.description = (
        "Checks what is installed, by its versions, and starts LLaMA-Factory once (up to a minute)."
        " Says of each failed check what to change, and fails when one of them prevents training."
    )
    parser.add_argument("--json", action="store_true", help="print the checks as JSON")


def run(args: argparse.Namespace) -> int:
    """Print every check; return 1 when one of them prevents training."""
    checks: list[Check] = []
    for check in _checks():
        checks.append(check)
        print(f"{'ok  ' if check.ok else 'FAIL'} {check.name}: {check.found}", file=sys.stderr)
        if not check.ok:
            print(f"       -> {check.fix}", file=sys.stderr)
    ready = all(check.ok for check in checks)
    print(
        "this environment can train: yes" if ready else "this environment can train: no",
        file=sys.stderr,
    )
    if args.json:
        print(json.dumps({"ready": ready, "checks": [asdict(check) for check in checks]}))
    return 0 if ready else 1


def _checks() -> Iterator[Check]:
    found = ".".join(map(str, sys.version_info[:3]))
    yield Check("Python", sys.version_info >= (3, 11), found, "use Python 3.11 or newer")
    yield from _requirements()
    yield _entry_point()
    for variable in ("DEPTHLM_AUTOLOAD", "TORCH_DEVICE_BACKEND_AUTOLOAD"):
        value = os.environ.get(variable, "1")
        yield Check(variable, value == "1", f"{value}", f"unset {variable}: it keeps depthlm off")
    yield _command("llamafactory-cli")
    yield _command("torchrun")
    yield from _imports()


def _requirements() -> Iterator[Check]:
    """Compare what is installed with what this package asks for."""
    from packaging.requirements import Requirement

    for line in requires("depthlm-plugin") or []:
        wanted = Requirement(line)
        if wanted.marker and not wanted.marker.evaluate({"extra": ""}):
            continue
        try:
            found = version(wanted.name)
        except PackageNotFoundError:
            found = "not installed"
        fits = found != "not installed" and wanted.specifier.contains(found, prereleases=True)
        fix = f'pip install "{wanted.name}{wanted.specifier}" (or all at once: {_INSTALL})'
        yield Check(wanted.name, fits, found, fix)


def _entry_point() -> Check:
    names = [point.value for point in entry_points(group="torch.backends")]
    loaded = "depthlm_plugin.autoload:activate" in names
    return Check("autoload", loaded, "registered" if loaded else "not registered", _INSTALL)


def _command(name: str) -> Check:
    path = shutil.which(name)
    fix = "activate the virtual environment: its bin folder must be on PATH"
    return Check(name, path is not None, "on PATH" if path else "not on PATH", fix)


# Run in a fresh interpreter, because a broken set of packages fails at import.
_PROBE = """
import json, torch, torchvision, torchaudio, bitsandbytes
import llamafactory.train.tuner
from depthlm_plugin.host import attention, compat
device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU: CPU only"
print(json.dumps({"broken": compat.broken, "device": device, "attention": attention.describe()}))
"""


def _imports() -> Iterator[Check]:
    print("     starting LLaMA-Factory (up to a minute) ...", file=sys.stderr)
    process = subprocess.run(
        [sys.executable, "-c", _PROBE], capture_output=True, text=True, check=False
    )
    if process.returncode != 0:
        error = (process.stderr.strip().splitlines() or ["no message"])[-1]
        yield Check("LLaMA-Factory", False, error, f"the installed set does not import: {_INSTALL}")
        return
    result = json.loads(process.stdout.strip().splitlines()[-1])
    if result["broken"]:
        found = "; ".join(f"{seam} {problem}" for seam, problem in result["broken"].items())
        yield Check("LLaMA-Factory", False, found, 'pip install "llamafactory==0.9.5"')
    else:
        yield Check("LLaMA-Factory", True, f"imports, all seams found; {result['device']}")
    yield Check("attention", True, result["attention"])
