"""What a curation leaves: records, `dataset_info.json`, and the folder that belongs to them.

OUT/dataset_info.json     one entry a curation; others are left as they are
OUT/NAME.jsonl            the records
OUT/NAME/README.md        data card
OUT/NAME/sheet.png        contact sheet
OUT/NAME/curation.json    configuration and counts
OUT/NAME/raw              link to the raw download, whose pictures are used where they are
OUT/NAME/images/          pictures of datasets that have no picture files
OUT/NAME/parts/           its finished chunks, and what is not finished, while it runs
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import ConfigError, DepthLMError
from ...records.atomic import recover, whole_file
from .chunks import Chunks

RAW = "raw"
IMAGES = "images"
PARTS = "parts"
_DESCRIPTION = "curation.json"
_INFO = "dataset_info.json"


@dataclass(frozen=True)
class Output:
    """Where one curation writes.

    Attributes:
        out: Folder for several curations, LLaMA-Factory's `dataset_dir`.
        name: Name of this one.
    """

    out: Path
    name: str

    def __post_init__(self) -> None:
        if self.name in ("", ".", "..") or Path(self.name).name != self.name:
            raise ConfigError(f"--name is a plain name without folders, found {self.name!r}")

    @property
    def folder(self) -> Path:
        """The folder of what belongs to the records."""
        return self.out / self.name

    @property
    def records(self) -> Path:
        """The records file, which is there when all is finished."""
        return self.out / f"{self.name}.jsonl"

    @property
    def card(self) -> Path:
        """The file of the data card."""
        return self.folder / "README.md"

    @property
    def sheet(self) -> Path:
        """The file of the contact sheet."""
        return self.folder / "sheet.png"

    @property
    def chunks(self) -> Chunks:
        """The chunks of a curation that is not finished."""
        return Chunks(self.folder / PARTS)

    def claim(self, config: dict[str, Any], root: Path) -> dict[str, Any] | None:
        """Take the places for a configuration; return its counts where it is finished already.

        Raises:
            DepthLMError: For places that hold another configuration, or something else.
        """
        place = self.folder / _DESCRIPTION
        recover(place)
        if not place.is_file():
            for path in (self.records, self.folder):
                if path.is_file() or (path.is_dir() and any(path.iterdir())):
                    raise ConfigError(
                        f"{path} is there and was not made by depthlm curate; choose another --out"
                        " or --name"
                    )
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise DepthLMError(f"cannot make {self.folder} ({error})") from error
            self._describe({"config": config})
        description = _read(place)
        had = description.get("config", {})
        differing = sorted(
            key for key in {*had, *config} if had.get(key, ...) != config.get(key, ...)
        )
        if differing:
            changes = "; ".join(
                f"{key}: {json.dumps(had.get(key))} there, {json.dumps(config.get(key))} now"
                for key in differing
            )
            raise ConfigError(
                f"{self.folder} belongs to another configuration ({changes}); choose another --out"
                f" or --name, or remove {self.folder} and {self.records}"
            )
        self._link(root)
        counts: dict[str, Any] | None = description.get("counts")
        return counts if self.records.is_file() and not self.chunks.folder.is_dir() else None

    def finish(
        self,
        chunks: int,
        config: dict[str, Any],
        counts: dict[str, Any],
        unwanted: Mapping[int, Container[int]],
    ) -> None:
        """Join the first `chunks` chunks to the records file, which appears complete.

        Args:
            chunks: How many there are.
            config: The configuration.
            counts: What was counted.
            unwanted: Which records of which chunk are left out; what was written for them goes too.

        Raises:
            DepthLMError: When it cannot be written, such as on a full disk.
        """
        self._describe({"config": config, "counts": counts})
        pictures = []
        with self.chunks.whole(self.records) as file:
            for number in range(chunks):
                out = unwanted.get(number, ())
                for at, line in enumerate(self.chunks.records(number)):
                    if at in out:
                        pictures.append(json.loads(line)["image"])
                    else:
                        file.write(line)
        for picture in pictures:
            if picture.startswith(f"{self.name}/{IMAGES}/"):
                (self.out / picture).unlink(missing_ok=True)

    def clean(self) -> None:
        """Remove the chunks, after everything else is in place."""
        shutil.rmtree(self.chunks.folder, ignore_errors=True)

    def abandon(self) -> None:
        """Remove all that an unfinished curation has written."""
        if self.records.exists():
            return
        # The description goes last: without it the rest would look like someone else's.
        self.clean()
        shutil.rmtree(self.folder / IMAGES, ignore_errors=True)
        for path in (self.card, self.sheet, self.folder / RAW, self.folder / _DESCRIPTION):
            path.unlink(missing_ok=True)
        with suppress(OSError):  # someone else's files are in it
            self.folder.rmdir()

    def register(self, depth_kind: str | None) -> None:
        """Add the records to `dataset_info.json`; what a user added to the entry stays.

        Args:
            depth_kind: What the labels are; None: each record says it.
        """
        with _locked(self.out):
            path = self.out / _INFO
            info = _read(path) if path.exists() else {}
            entry = info.get(self.name, {})
            entry |= {"file_name": self.records.name, "formatting": "depthlm"}
            if depth_kind is not None:
                entry["depthlm"] = {**entry.get("depthlm", {}), "depth_kind": depth_kind}
            info[self.name] = entry
            _write(path, json.dumps(info, indent=2, ensure_ascii=False) + "\n")

    def _describe(self, content: dict[str, Any]) -> None:
        _write(self.folder / _DESCRIPTION, json.dumps(content, indent=1, ensure_ascii=False) + "\n")

    def _link(self, root: Path) -> None:
        """Link to the raw data, relative to this folder, so that both can be moved together."""
        link = self.folder / RAW
        if link.is_symlink() and link.resolve() == root.resolve():
            return
        if link.is_symlink() or link.exists():
            raise ConfigError(
                f"{link} leads to {link.resolve()}, not to --root {root}; was the raw data moved?"
                " Remove the link to say so"
            )
        try:
            link.symlink_to(os.path.relpath(root.resolve(), self.folder.resolve()))
        except OSError as error:
            raise DepthLMError(
                f"cannot link {link} to the pictures in {root} ({error}); choose an --out on a file"
                " system with symbolic links"
            ) from error


def _write(path: Path, text: str) -> None:
    try:
        with whole_file(path) as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise DepthLMError(
            f"cannot write {path} ({error}); make room or choose another --out, and start again:"
            " what is finished is kept"
        ) from error


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DepthLMError(f"{path} cannot be read ({error}); repair or remove it") from error
    if not isinstance(content, dict):
        raise DepthLMError(f"{path} is no JSON object; repair or remove it")
    return content


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one process at a time through, for a file that several read and write."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
