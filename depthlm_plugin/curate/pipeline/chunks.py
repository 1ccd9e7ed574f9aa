"""Finished chunks of a curation on disk, so that one that was killed goes on where it was.

A chunk is some frames in the order of the dataset. The first line of its file is
`{"items": digest, "tally": counts}`, the rest are its records; the file appears under its name when
it is complete.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ...errors import DepthLMError
from ..frames import Item
from .counts import Counts

_LOCK = "lock"
_PARTIAL = ".partial"


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that is complete when it has its name, or is not there at all.

    Raises:
        DepthLMError: When it cannot be written, such as on a full disk; nothing is left of it.
    """
    partial = partial_of(path)
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise DepthLMError(
            f"cannot write {path} ({error}); make room or choose another --out, and start again:"
            " what is finished is kept"
        ) from error


def partial_of(path: Path) -> Path:
    """Return the name that a file has, in its folder, until it is complete."""
    return path.with_name(f".{path.name}.{os.getpid()}{_PARTIAL}")


def is_leftover(path: Path) -> bool:
    """Return whether a file was being written by a process that was killed."""
    return path.name.startswith(".") and path.name.endswith(_PARTIAL)


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes left in a folder and below."""
    for path in folder.rglob(f".*{_PARTIAL}"):
        path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Chunks:
    """The files of a curation's chunks, in a folder of their own.

    Attributes:
        folder: That folder.
    """

    folder: Path

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Make the folder for this process only, and remove what a killed one left half-written.

        Raises:
            DepthLMError: When another process writes it, or it cannot be made.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = (self.folder / _LOCK).open("w")
        except OSError as error:
            raise DepthLMError(f"cannot write {self.folder} ({error})") from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise DepthLMError(
                    f"{self.folder.parent} is being written by another process; wait for it, or"
                    " choose another --out or --name"
                ) from error
            remove_leftovers(self.folder.parent)
            yield

    def write(self, number: int, items: Sequence[Item], counts: Counts, lines: list[str]) -> None:
        """Write a chunk: its frames' digest, what was counted, and its records as lines of JSON."""
        head = json.dumps({"items": _digest(items), "tally": counts.to_json()})
        write_whole(self._path(number), "".join(f"{line}\n" for line in [head, *lines]).encode())

    def read_counts(self, number: int, items: Sequence[Item]) -> Counts | None:
        """Return what was counted in a finished chunk, or None where it is not finished.

        Raises:
            DepthLMError: For a chunk of other frames: the raw data has changed.
        """
        try:
            with self._path(number).open("rb") as file:
                head = json.loads(file.readline())
        except FileNotFoundError:
            return None
        if head["items"] != _digest(items):
            raise DepthLMError(
                f"the frames listed now are not those that {self.folder.parent} was begun with:"
                " the raw data has changed since (was a download still running?); remove that"
                " folder and start again"
            )
        return Counts.from_json(head["tally"])

    def records(self, count: int) -> Iterator[bytes]:
        """Yield the records of the first `count` chunks as lines, in the order of the frames."""
        for number in range(count):
            with self._path(number).open("rb") as file:
                next(file)
                yield from file

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:07d}.jsonl"


def _digest(items: Sequence[Item]) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for item in items:
        digest.update(item.frame_id.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()
