"""Runs the unmodified `llamafactory-cli train` in a process of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ..errors import DepthLMError

_POLL_S = 0.5


def train(
    recipe: Mapping[str, Any],
    path: Path,
    *,
    environment: Mapping[str, str] | None = None,
    poll: Callable[[], object] | None = None,
) -> None:
    """Run `llamafactory-cli train` as a user would; by itself it uses all GPUs that it finds.

    Args:
        recipe: What to run; written to `path`, a .yaml file. The log goes beside it, as .log.
        path: Where the recipe goes.
        environment: Variables over those of this process.
        poll: Called twice a second while it runs: shows progress.

    Raises:
        DepthLMError: When it is not installed, or failed: with the end of its log.
    """
    import yaml

    log = path.with_suffix(".log")
    path.write_text(yaml.safe_dump(dict(recipe), sort_keys=False), encoding="utf-8")
    folders = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    command = shutil.which("llamafactory-cli", path=folders)
    if command is None:
        raise DepthLMError("llamafactory-cli is not installed here; run depthlm doctor")
    variables = os.environ | {"PATH": folders} | dict(environment or {})
    with (
        _ending_on_sigterm(),
        log.open("wb") as file,
        subprocess.Popen(
            [command, "train", str(path)],
            stdout=file,
            stderr=file,
            env=variables,
            start_new_session=True,
        ) as process,
    ):
        try:
            while process.poll() is None:
                time.sleep(_POLL_S)
                if poll is not None:
                    poll()
        except BaseException:
            # The launcher, torchrun and its ranks: none of them outlives this process.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            raise
    if process.returncode != 0:
        tail = log.read_text(encoding="utf-8", errors="replace")[-2000:]
        raise DepthLMError(f"llamafactory-cli train {path} failed; the end of {log}:\n{tail}")


@contextmanager
def _ending_on_sigterm() -> Iterator[None]:
    """Within this, SIGTERM raises SystemExit, so that what was started is ended too."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
