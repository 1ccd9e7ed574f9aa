"""Kill commands before every touch of the disk, and at random times; give them again; compare.

    PYTHONPATH=tests python -m support.kills [--random N] [--pairs] PLACE [CASE ...]

Every attempt must end with the bytes of an undisturbed run and nothing beside them; what is there
after a kill must be old or new, and whole. Prints a line of JSON for each case: how often each kind
of attempt was made, and which failed. The parent imports everything and has no threads, so that
attempts are forks. `bench` and `train` start LLaMA-Factory, and are killed at random times only.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import psutil

from support.kill_cases import CASES, PROGRAMS, contents

TOUCHES = {
    "fcntl.flock", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink"
}  # fmt: skip
SECONDS = 300  # after which an attempt hangs


class Touches:
    """Counts what this process does to the disk, and has it killed before one of that."""

    def __init__(self):
        self.count, self.last = 0, None
        sys.addaudithook(self._see)

    def _see(self, event, arguments):
        writes = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if writes or event in TOUCHES:
            self.count += 1
            if self.count == self.last:
                os.kill(os.getpid(), signal.SIGKILL)


def attempt(case, folder, *, touch=None, after_s=None):
    """Run a case in a folder, killed with all its children; return its status."""
    child = os.fork()
    if not child:
        status = 99
        try:
            os.setsid()
            os.chdir(folder)
            said = os.open("../said.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(said, 1)
            os.dup2(said, 2)
            if touch is not None:
                Touches().last = touch
            status = case.run()
        finally:
            sys.stdout.flush()
            os._exit(status)
    if after_s is not None:
        time.sleep(after_s)
        everyone = psutil.Process(child).children(recursive=True)
        os.kill(child, signal.SIGKILL)
        for one in everyone:  # groups of their own too
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with contextlib.suppress(ProcessLookupError):  # children of the attempt
        os.killpg(child, signal.SIGKILL)
    return status


class Kills:
    """The attempts of a case, below a folder."""

    def __init__(self, case, place):
        self.case, self.place = case, place
        self.tried, self.failed = Counter(), []
        self.number = 0
        place.mkdir()
        case.prepare(place)
        self.before = self.fresh()
        self.held = contents(self.before)
        self.touches = 0
        for _ in range(2 if case in CASES else 1):  # in this process, so that forks need no import
            whole = self.fresh()
            seen, began = Touches(), time.monotonic()
            with contextlib.chdir(whole):
                assert case.run() == 0
            self.whole_s = time.monotonic() - began
            self.touches = seen.count if case in CASES else 0
        self.whole, self.outcome = contents(whole), case.outcome(whole)

    def fresh(self):
        self.number += 1
        folder = self.place / str(self.number)
        folder.mkdir()
        self.case.before(folder)
        return folder

    def everywhere(self, pairs):
        """Kill before each touch; then again in what goes on; then let it end."""
        draw = random.Random(self.case.name)
        for first in range(1, self.touches + 1):
            one = draw.randint(1, self.touches) if first % 3 == 0 else None
            for second in range(self.touches + 20) if pairs else [one]:
                folder = self.fresh()
                kills = [first, second] if second else [first]
                self.try_(f"{len(kills)} kills before a touch", folder, touch=kills)

    def at_random(self, count):
        draw = random.Random(self.case.name)
        for _ in range(count):
            self.try_("random kill", self.fresh(), after_s=[draw.uniform(0, self.whole_s)])

    def try_(self, kind, folder, **kills):
        """Make an attempt: kills, each followed by a look, and a run to the end."""
        [(how, values)] = kills.items()
        self.tried[kind] += 1
        wrong = None
        for number, value in enumerate(values):
            surely = how == "touch" and number == 0
            wrong = wrong or self.run(folder, surely, **{how: value}) or self.wrong_now(folder)
        wrong = wrong or self.run(folder)
        if wrong is None:
            now, then = self.case.outcome(folder), self.outcome
            names = sorted(name for name in now.keys() | then.keys())
            differing = [name for name in names if now.get(name, ...) != then.get(name, ...)]
            wrong = f"differing: {differing[:5]}" if differing else None
        if wrong is None:
            shutil.rmtree(folder)
        else:
            self.failed.append(f"{kind} {values}: {wrong}")

    def run(self, folder, surely=False, **kill):
        """Run the case, killed perhaps or `surely`; return what was wrong with its end, or None."""
        said = self.place / "said.txt"
        said.write_text("")
        status = attempt(self.case, folder, **kill)
        if (status == 0 and not surely) or (kill and status == -signal.SIGKILL):
            return None
        text = said.read_text()
        return None if self.case.may_refuse(status, text) else f"status {status}: {text[-300:]}"

    def wrong_now(self, folder):
        """Return what is neither old nor new, or what a reader of the folder says is wrong."""
        for name, found in contents(folder).items():
            if not self.case.is_temporary(name) and found not in (
                self.held.get(name, found if found is None else ...),
                self.whole.get(name, ...),
            ):
                return f"{name} is neither old nor new"
        return self.case.wrong(folder)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("place", type=Path)
    parser.add_argument("cases", nargs="*")
    parser.add_argument("--random", type=int, default=0, help="kills at random times")
    parser.add_argument("--pairs", action="store_true", help="all pairs of two kills")
    parser.add_argument("--no-touches", action="store_true", help="random times only")
    args = parser.parse_args()
    args.place.mkdir(exist_ok=True)
    wrong = 0
    for name in args.cases or [case.name for case in CASES]:
        [case] = [case for case in (*CASES, *PROGRAMS) if case.name == name]
        began = time.monotonic()
        kills = Kills(case, args.place / name)
        if not args.no_touches:
            kills.everywhere(args.pairs)
        kills.at_random(args.random)
        wrong += len(kills.failed)
        seconds = round(time.monotonic() - began, 1)
        told = {
            "case": name,
            "touches": kills.touches,
            "tried": kills.tried,
            "failed": kills.failed,
        }
        print(json.dumps(told | {"seconds": seconds}), flush=True)
    sys.exit(min(wrong, 100))


if __name__ == "__main__":
    main()
