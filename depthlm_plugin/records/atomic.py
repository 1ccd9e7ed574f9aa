"""Files and folders that appear under their name when they are whole, and not at all before.

Until then they are beside it, under a name that nobody can know and that was not there: nothing is
written through a link, and nothing is removed that this process did not make.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO


@contextmanager
def whole_file(path: Path) -> Iterator[TextIO]:
    """Give a new UTF-8 file that takes the place of `path` when the block ends without an error.

    Raises:
        OSError: When it cannot be written; what was there stays, and nothing is left beside it.
    """
    partial = _beside(path)
    # O_EXCL follows no link; unlike mkstemp's, the file has the permissions that new files have.
    file = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with open(file, "w", encoding="utf-8") as stream:
            yield stream
        partial.replace(path)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Give a new folder that becomes `path`, so far absent or empty, as `whole_file` does.

    Raises:
        OSError: When it cannot be made, or what is in it cannot be written.
    """
    partial = _beside(path)
    partial.mkdir()
    try:
        yield partial
        partial.rename(path)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _beside(path: Path) -> Path:
    """Return a name in the folder of `path` that tells what it is for and that nothing has."""
    return path.parent / f".{secrets.token_hex(8)}.depthlm.partial"
