"""Files and folders that appear under their name when they are whole, and not at all before.

Until then they are in a folder beside it, whose name nobody can know and that was not there:

.NAME.0123456789abcdef.depthlm.partial/
    unfinished.lock     says for what it is; locked while its process lives, removed last
    new                 what is written
    old                 the folder that is being replaced
    placed              of several files, those that may have their names already

Nothing is written through a link. Only what this process made is removed, and what a killed one
left for the same place: a folder of that form whose lock nobody holds and that holds nothing else.
Killed at any moment, the same command does its work when it is given again, and leaves nothing.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import RawIOBase
from pathlib import Path
from typing import BinaryIO, TextIO

from ..errors import DepthLMError

UNFINISHED = "unfinished.lock"
_NEW, _OLD, _PLACED = "new", "old", "placed"
_SHOWN = 40  # characters of a name in that of its folder, which has a largest length


@contextmanager
def whole_file(path: Path) -> Iterator[TextIO]:
    """Give a new UTF-8 file that takes the place of `path` when the block ends without an error.

    Raises:
        OSError: When it cannot be written; what was there stays, and nothing is left beside it.
    """
    with _beside(path, alone=False) as work:
        with (work / _NEW).open("x", encoding="utf-8") as stream:
            yield stream
        (work / _NEW).replace(path)


@contextmanager
def whole_bytes(path: Path) -> Iterator[BinaryIO]:
    """Give a new binary file that takes the place of `path`, as `whole_file` does."""
    with _beside(path, alone=False) as work:
        with (work / _NEW).open("xb") as stream:
            yield stream
        (work / _NEW).replace(path)


@contextmanager
def whole_folder(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """Give a new folder that becomes `path`, so far absent or empty, as `whole_file` does.

    Args:
        path: Where it goes.
        replace: Whether a folder that is there is replaced.

    Raises:
        DepthLMError: When another process writes it.
        OSError: When it cannot be made, or what is in it cannot be written.
    """
    with _beside(path) as work:
        (work / _NEW).mkdir()
        yield work / _NEW
        if replace and path.is_dir():
            path.rename(work / _OLD)
        (work / _NEW).rename(path)


@contextmanager
def whole_files(paths: Sequence[Path]) -> Iterator[Path]:
    """Give a new folder whose files become `paths`, of one folder and so far absent, all or none.

    Those that a killed run had placed are gone when the block begins, unless they were changed.

    Raises:
        DepthLMError: When another process writes them.
        OSError: When they cannot be written.
    """
    with _beside(paths[-1]) as work:
        (work / _NEW).mkdir()
        yield work / _NEW
        (work / _PLACED).write_bytes(b"".join(_line(work / _NEW / path.name) for path in paths))
        for path in paths:
            (work / _NEW / path.name).rename(path)
        (work / _PLACED).unlink()  # from here on they stay


def recover(path: Path) -> bool:
    """Undo what a killed process had begun at `path`; return whether there was anything.

    `whole_folder` and `whole_files` (of whose paths it is the last) begin with it.

    Raises:
        DepthLMError: When another process writes it.
    """
    return any([_recovered(work, path, alone=True) for work in _unfinished(path)])


def cut_off(path: Path) -> Path | None:
    """Return where a folder is whose replacement was cut off at the moment when it has no name."""
    if not os.path.lexists(path):
        for work in _unfinished(path):
            if (work / _NEW).is_dir() and (work / _OLD).is_dir():
                return work / _OLD
    return None


@contextmanager
def _beside(path: Path, *, alone: bool = True) -> Iterator[Path]:
    """Make a folder beside `path` for what is not finished, having undone what killed ones left."""
    work, lock = _made(path)
    with lock:
        try:
            lock.write(_said(path))
            for other in _unfinished(path):
                if other != work:
                    _recovered(other, path, alone)
            yield work
        finally:
            with suppress(OSError):
                _undo(work, path, lock)


def _made(path: Path) -> tuple[Path, RawIOBase]:
    """Make a folder beside `path`; return it and its lock."""
    while True:
        work = path.parent / f".{path.name[:_SHOWN]}.{secrets.token_hex(8)}.depthlm.partial"
        work.mkdir()
        try:
            lock = (work / UNFINISHED).open("xb", buffering=0)
        except FileNotFoundError:  # another process took the empty folder for a killed one's
            continue
        except OSError:
            work.rmdir()
            raise
        with suppress(OSError):  # a file system without locks: then what is killed stays
            fcntl.flock(lock, fcntl.LOCK_EX)
        if (work / UNFINISHED).exists():
            return work, lock
        lock.close()  # likewise


def _said(path: Path) -> bytes:
    return b"depthlm has not finished " + os.fsencode(path.name) + b"\n"


def _unfinished(path: Path) -> list[Path]:
    """Return the folders beside `path` that are named as `_beside` names them."""
    form = re.compile(rf"\.{re.escape(path.name[:_SHOWN])}\.[0-9a-f]{{16}}\.depthlm\.partial")
    try:
        with os.scandir(path.parent) as entries:
            found = [entry for entry in entries if form.fullmatch(entry.name)]
            return [path.parent / e.name for e in found if e.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []


def _recovered(work: Path, path: Path, alone: bool) -> bool:
    """Undo what a killed process had begun in `work`; return whether it is such a one's.

    Raises:
        DepthLMError: When a living one is at it, which should be `alone`.
    """
    try:
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK
        lock = os.fdopen(os.open(work / UNFINISHED, flags), "rb", buffering=0)
    except OSError:
        with suppress(OSError):
            work.rmdir()  # killed before it had a lock
            return True
        return False
    with lock:
        if not stat.S_ISREG(os.fstat(lock.fileno()).st_mode):
            return False
        inside = set(os.listdir(work))
        said = lock.read(2**12)
        if said != _said(path) and (said or inside != {UNFINISHED}):  # killed before it said so
            return False
        if inside - {UNFINISHED, _NEW, _OLD, _PLACED}:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if not (alone and isinstance(error, BlockingIOError)):
                return False
            raise DepthLMError(
                f"{path} is being written by another process ({work}); wait for it, or choose"
                " another --out"
            ) from error
        _undo(work, path, lock)
    return True


def _undo(work: Path, path: Path, lock: RawIOBase) -> None:
    """Give back what has lost its name, take back what has got one too early, remove the rest.

    The lock goes last: cut off before, this is done again.
    """
    new, old = work / _NEW, work / _OLD
    if new.is_dir() and old.is_dir() and not os.path.lexists(path):
        old.rename(path)
    if (work / _PLACED).is_file():
        for line in (work / _PLACED).read_bytes().splitlines(keepends=True):
            name = os.fsdecode(line.split(b" ", 2)[-1].removesuffix(b"\n"))
            placed = path.parent / Path(name).name
            with suppress(FileNotFoundError):
                if not os.path.lexists(new / name) and _line(placed) == line:
                    placed.unlink()
        (work / _PLACED).unlink()
    for folder in (new, old):
        if folder.is_dir() and not folder.is_symlink():
            shutil.rmtree(folder)
        else:
            folder.unlink(missing_ok=True)
    lock.close()  # some network file systems keep the name of an open file
    (work / UNFINISHED).unlink()
    work.rmdir()


def _line(file: Path) -> bytes:
    """Return what tells a file from others of its name: its size in bytes and its last change."""
    status = file.lstat()
    return f"{status.st_size} {status.st_mtime_ns} ".encode() + os.fsencode(file.name) + b"\n"
