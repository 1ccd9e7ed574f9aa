"""A file of answers that grows line by line; stopped at any moment, it keeps what is answered."""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from ..config.block import DepthLMConfig
from ..config.saved import weights_state
from ..errors import ConfigError, DepthLMError
from .rows import key_of, premises_of


class AnswerFile:
    """JSON lines of one run: those that are there are kept, others are added at the end.

    A last line that a killed run had not finished is taken away. Used as a context; two processes
    cannot write one file.

    Attributes:
        path: The file.
    """

    def __init__(self, path: Path, run: str) -> None:
        """Open the file, which need not be there.

        Args:
            path: The file.
            run: What every row says of whose answers it holds, as `run`.

        Raises:
            ConfigError: For a file of another run, or of something else.
            DepthLMError: When another process writes it.
        """
        self.path = path
        self._run = run
        try:
            self._file = path.open("a+b")
        except OSError as error:
            raise ConfigError(f"{path} cannot be written: {error.strerror}") from error
        try:
            self._lock()
            self._answered = self._read()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> AnswerFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def __len__(self) -> int:
        """Return how many answers it holds."""
        return len(self._answered)

    def has(self, row: Mapping[str, Any]) -> bool:
        """Return whether the question of a row is answered.

        Raises:
            ConfigError: When it was, of another picture, by another camera or with another truth.
        """
        return self.text_of(row) is not None

    def text_of(self, row: Mapping[str, Any]) -> str | None:
        """Return what was answered to the question of a row, if it is answered.

        Raises:
            ConfigError: When it was, of another picture, by another camera or with another truth.
        """
        found = self._answered.get(key_of(row))
        if found is None:
            return None
        text, premises = found
        if premises != premises_of(row):
            raise ConfigError(
                f"{self.path}: a question about {row.get('image', row.get('images'))} was answered"
                " when the picture, its camera or its truth was another; choose another --out"
            )
        return text

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write answers, at once."""
        for row in rows:
            line = json.dumps({**row, "run": self._run}, ensure_ascii=False) + "\n"
            self._file.write(line.encode("utf-8", "backslashreplace"))
            self._answered[key_of(row)] = str(row.get("text")), premises_of(row)
        self._file.flush()

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DepthLMError(
                f"{self.path} is being written by another process; wait, or choose another --out"
            ) from error
        except OSError:
            return  # a file system without locks

    def _read(self) -> dict[str, tuple[str, bytes]]:
        self._file.seek(0)
        answered: dict[str, tuple[str, bytes]] = {}
        end = 0
        for number, line in enumerate(self._file, start=1):
            if not line.endswith(b"\n"):
                self._file.truncate(end)
                break
            end += len(line)
            try:
                row = json.loads(line)
                run, text = row["run"], str(row.get("text"))
            except (ValueError, KeyError, TypeError) as error:
                raise ConfigError(
                    f"{self.path}:{number} is no answer of depthlm predict; choose another --out"
                ) from error
            if run != self._run:
                raise ConfigError(
                    f"{self.path}:{number} is of run {run!r}, this is {self._run!r}: other weights,"
                    " cameras or questions; choose another --out"
                )
            answered[key_of(row)] = text, premises_of(row)
        self._file.seek(0, 2)
        return answered


def run_of(weights: Sequence[str], config: DepthLMConfig, decides: Sequence[Any]) -> str:
    """Return a digest of all that decides a run's answers.

    Args:
        weights: Folder or name of the model, and of its adapter; their files count as they are now.
        config: How the model was trained to see.
        decides: Whatever else does, as JSON can write it.
    """
    text = json.dumps([weights_state(weights), config.to_dict(), decides], default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
