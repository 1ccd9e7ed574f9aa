"""Curate again and again, killed before the next touch of the disk each time; print how often.

OUT/whole is an uninterrupted run, OUT/1, OUT/2, ... the others.

    python killed.py ROOT OUT

Run alone: a process with no other threads may be forked.
"""

import os
import signal
import sys
from pathlib import Path

from depthlm_plugin.curate.pipeline.curation import Settings, curate
from depthlm_plugin.curate.pipeline.labelling import Job
from depthlm_plugin.curate.pipeline.output import Output
from depthlm_plugin.curate.registry import make_reader

FRAMES = 3
TOUCHES = {"os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink"}


def job_of(root, out, sampling="uniform"):
    options = {"depth_scale": "1000", "depth_kind": "z"}
    reader = make_reader("folder", root, options=options)
    output = Output(out, "room")
    return Job(reader, "folder", "room", output.folder, 20, 0, sampling), output


def run(root, out, kill_at=None, limit=None):
    """Curate two frames a chunk, in this process; killed before its `kill_at`-th touch."""
    touches = 0

    def count(event, arguments):
        nonlocal touches
        writes = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if writes or event in TOUCHES:
            touches += 1
            if touches == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    if kill_at is not None:
        sys.addaudithook(count)
    job, output = job_of(root, out)
    curate(job, output, limit, Settings(chunk_frames=2))


def main():
    root, out = map(Path, sys.argv[1:])
    run(root, out / "whole", limit=FRAMES)  # and import everything before the first fork
    for kill_at in range(1, 1000):
        # Two kills each time, so that going on is interrupted too; then to the end.
        place = out / str(kill_at)
        place.mkdir()
        for number in (kill_at, 5, None):
            child = os.fork()
            if not child:
                run(root, place, number, FRAMES)
                os._exit(0)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            if number == kill_at and status == 0:
                print(kill_at - 1)
                return
            if status not in (0, -signal.SIGKILL):
                sys.exit(f"killed at {kill_at}, then status {status}")


if __name__ == "__main__":
    main()
