"""Finished chunks of a curation on disk, so that one that was killed goes on where it was.

A chunk is some frames in the order of the dataset. The first line of its file is
`{"items": digest, "frames": outcomes}`, the rest are the records of those frames that have one.
Beside the chunks is whatever the curation has not finished to write, so that all that a kill leaves
is in this one folder.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ...errors import DepthLMError
from ..frames import Item
from .counts import Counts
from .duplicates import View

_LOCK = "lock"
_PARTIAL = re.compile(r"\..*\.partial")
_CHUNK = re.compile(r"\d{7,}\.jsonl")


@dataclass(frozen=True)
class Outcome:
    """What became of one frame.

    Attributes:
        counts: What was counted of it.
        view: What of its record is compared with others; None: it has no record.
    """

    counts: Counts
    view: View | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain values from which `from_json` makes an equal outcome."""
        view = None if self.view is None else self.view.to_json()
        return {"tally": self.counts.to_json(), "view": view}

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Outcome:
        """Return the outcome that `to_json` made plain values of."""
        view = raw["view"]
        return cls(Counts.from_json(raw["tally"]), None if view is None else View(*view))


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
            DepthLMError: When another process writes it, it holds something else, or it cannot be
                made.
        """
        try:
            if self.folder.is_symlink():
                raise DepthLMError(f"{self.folder} is a link, which depthlm curate did not make")
            self.folder.mkdir(parents=True, exist_ok=True)
            for path in self.folder.iterdir():
                if not _is_ours(path):
                    raise DepthLMError(
                        f"{path} is there and was not made by depthlm curate; move it elsewhere, or"
                        " choose another --out or --name"
                    )
            lock = os.fdopen(os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW))
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
            for path in self.folder.iterdir():
                if _PARTIAL.fullmatch(path.name):
                    path.unlink()
            yield

    @contextmanager
    def whole(self, path: Path) -> Iterator[BinaryIO]:
        """Give a new file that takes the place of `path` when it is complete and on the disk.

        Raises:
            DepthLMError: When it cannot be written, such as on a full disk; nothing is left of it.
        """
        partial = self.folder / f".{secrets.token_hex(8)}.partial"
        try:
            try:
                with partial.open("xb") as file:
                    yield file
                    file.flush()
                    os.fsync(file.fileno())
                partial.replace(path)
            finally:
                partial.unlink(missing_ok=True)
        except OSError as error:
            raise DepthLMError(
                f"cannot write {path} ({error}); make room or choose another --out, and start"
                " again: what is finished is kept"
            ) from error

    def write_whole(self, path: Path, data: bytes) -> None:
        """Write a file as `whole` does."""
        with self.whole(path) as file:
            file.write(data)

    def write(
        self, number: int, items: Sequence[Item], outcomes: Sequence[Outcome], lines: Sequence[str]
    ) -> None:
        """Write a chunk: its frames' digest, what became of each, its records as lines of JSON."""
        head = {"items": _digest(items), "frames": [outcome.to_json() for outcome in outcomes]}
        self.write_whole(
            self._path(number), "".join(f"{line}\n" for line in [json.dumps(head), *lines]).encode()
        )

    def has(self, number: int, items: Sequence[Item]) -> bool:
        """Return whether a chunk is finished.

        Raises:
            DepthLMError: For a chunk of other frames: the raw data has changed.
        """
        try:
            head = self._head(number)
        except FileNotFoundError:
            return False
        if head["items"] != _digest(items):
            raise DepthLMError(
                f"the frames listed now are not those that {self.folder.parent} was begun with:"
                " the raw data has changed since (was a download still running?); remove that"
                " folder and start again"
            )
        return "frames" in head  # an older version counted chunks as a whole

    def outcomes(self, number: int) -> list[Outcome]:
        """Return what became of each frame of a finished chunk."""
        return [Outcome.from_json(raw) for raw in self._head(number)["frames"]]

    def records(self, number: int) -> list[bytes]:
        """Return the records of a finished chunk as lines, in the order of the frames."""
        with self._path(number).open("rb") as file:
            next(file)
            return file.readlines()

    def _head(self, number: int) -> dict[str, Any]:
        with self._path(number).open("rb") as file:
            head: dict[str, Any] = json.loads(file.readline())
        return head

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:07d}.jsonl"


def _is_ours(path: Path) -> bool:
    known = path.name == _LOCK or _CHUNK.fullmatch(path.name) or _PARTIAL.fullmatch(path.name)
    return bool(known) and path.is_file() and not path.is_symlink()


def _digest(items: Sequence[Item]) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for item in items:
        digest.update(item.frame_id.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()
