"""A file of answers that grows line by line; stopped at any moment, it keeps what is answered."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from ..errors import ConfigError, DepthLMError
from .rows import key_of


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
        """Return whether the question of a row is answered."""
        return key_of(row) in self._answered

    def text_of(self, row: Mapping[str, Any]) -> str | None:
        """Return what was answered to the question of a row, if it is answered."""
        return self._answered.get(key_of(row))

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write answers, at once."""
        for row in rows:
            line = json.dumps({**row, "run": self._run}, ensure_ascii=False) + "\n"
            self._file.write(line.encode("utf-8", "backslashreplace"))
            self._answered[key_of(row)] = row.get("text")
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

    def _read(self) -> dict[str, str | None]:
        self._file.seek(0)
        answered: dict[str, str | None] = {}
        end = 0
        for number, line in enumerate(self._file, start=1):
            if not line.endswith(b"\n"):
                self._file.truncate(end)
                break
            end += len(line)
            try:
                row = json.loads(line)
                run, text = row["run"], row.get("text")
            except (ValueError, KeyError, TypeError) as error:
                raise ConfigError(
                    f"{self.path}:{number} is no answer of depthlm predict; choose another --out"
                ) from error
            if run != self._run:
                raise ConfigError(
                    f"{self.path}:{number} is of run {run!r}, this is {self._run!r}: other weights,"
                    " cameras or questions; choose another --out"
                )
            answered[key_of(row)] = text
        self._file.seek(0, 2)
        return answered
