"""Where files are: local paths, or URLs that fsspec opens (`s3://`, `gs://`, `hf://`, ...).

Local paths go straight to the operating system; fsspec is imported when the first URL is opened.
Paths are text here: `pathlib` would make `s3:/bucket` of `s3://bucket`. universal_pathlib knows
chains too, but what it would save are the lines that join names; joining one of a record's local
pictures takes it 40 us instead of 1.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO
from urllib.parse import unquote

from ..errors import DepthLMError

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+(://|::.*://)")
_CHAIN = "::"  # of fsspec: `simplecache::s3://...`, `zip://inside::s3://.../file.zip`


def is_remote(path: str) -> bool:
    """Return whether a path names a protocol, `file://` included, and so goes through fsspec."""
    return _URL.match(path) is not None


def join(root: str, path: str) -> str:
    """Return the path of something inside a folder; `path` is relative to it.

    Raises:
        ValueError: For a path that would lead out of a remote `root`. Local ones are not checked.
    """
    if not is_remote(root):
        return os.path.join(root, path)
    # Servers decode %2e, and a chain inside the path would name another file system altogether.
    plain = posixpath.normpath(unquote(path).replace("\\", "/").lstrip("/"))
    if plain.split("/")[0] == ".." or _CHAIN in plain or is_remote(path):
        raise ValueError(f"{path!r} leaves {root}")
    if ".." in path.split("/"):
        path = posixpath.normpath(path)
    before, place, after = _split(root)
    return before + place + "/" * (not place.endswith("/")) + path.lstrip("/") + after


def name(path: str) -> str:
    """Return the last part of a path."""
    place = _split(path)[1] if is_remote(path) else path
    return posixpath.basename(place.rstrip("/"))


def parent(path: str) -> str:
    """Return the folder that a path is in; `.` for the name of a local file alone."""
    if not is_remote(path):
        return os.path.dirname(path) or "."
    before, place, after = _split(path)
    protocol, colon, inside = place.partition("://")
    return before + protocol + colon + posixpath.dirname(inside.rstrip("/")) + after


def stem(path: str) -> str:
    """Return the last part of a path without its suffix."""
    return posixpath.splitext(name(os.path.normpath(path) if not is_remote(path) else path))[0]


def folder_of(path: str) -> str:
    """Return a folder as it is, or the folder that a file is in."""
    return path if is_folder(path) else parent(path)


def is_file(path: str) -> bool:
    """Return whether a path is a file."""
    if not is_remote(path):
        return os.path.isfile(path)
    filesystem, place = _filesystem(path)
    return bool(filesystem.isfile(place))


def is_folder(path: str) -> bool:
    """Return whether a path is a folder."""
    if not is_remote(path):
        return os.path.isdir(path)
    filesystem, place = _filesystem(path)
    return bool(filesystem.isdir(place))


def names_in(folder: str) -> list[str]:
    """Return the names of what is in a folder, sorted."""
    if not is_remote(folder):
        return sorted(os.listdir(folder))
    filesystem, place = _filesystem(folder)
    return sorted(posixpath.basename(path.rstrip("/")) for path in filesystem.ls(place, False))


def size_bytes(path: str) -> int:
    """Return the size of a file.

    Raises:
        OSError: For a file that is not there.
    """
    if not is_remote(path):
        return os.path.getsize(path)
    with _as_os_error(path):
        filesystem, place = _filesystem(path)
        return int(filesystem.size(place))


def open_binary(path: str) -> BinaryIO:
    """Return a file opened for reading bytes; of a remote one, the parts asked for are fetched.

    Raises:
        OSError: For a file that is not there or cannot be read.
    """
    if not is_remote(path):
        return open(path, "rb")
    with _as_os_error(path):
        filesystem, place = _filesystem(path)
        file: BinaryIO = filesystem.open(place, "rb")
        return file


def read_bytes(path: str, start: int | None = None, end: int | None = None) -> bytes:
    """Return a file's bytes, or those from `start` up to `end`, in one request where it is remote.

    Raises:
        OSError: For a file that is not there or cannot be read.
    """
    if not is_remote(path):
        with open(path, "rb") as file:
            file.seek(start or 0)
            return file.read() if end is None else file.read(end - (start or 0))
    with _as_os_error(path):
        filesystem, place = _filesystem(path)
        return bytes(filesystem.cat_file(place, start, end))


@contextmanager
def _as_os_error(url: str) -> Iterator[None]:
    """Make an OSError of whatever a driver raises: some let through those of their HTTP client."""
    try:
        yield
    except (OSError, DepthLMError):
        raise
    except Exception as error:
        raise OSError(f"{url}: {error!r}") from error


def _split(url: str) -> tuple[str, str, str]:
    """Return a URL cut at the link of its chain that names a place: before, the place, after."""
    links = url.split(_CHAIN)
    at = next((i for i, link in enumerate(links) if "://" in link), len(links) - 1)
    before = "".join(link + _CHAIN for link in links[:at])
    return before, links[at], "".join(_CHAIN + link for link in links[at + 1 :])


def _filesystem(url: str) -> tuple[Any, str]:
    import fsspec.core

    try:
        # Not kept here: fsspec keeps one a process, and makes a new one after a fork.
        filesystem, place = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise DepthLMError(
            f"{url} cannot be opened ({error}); install the fsspec package of its protocol (s3fs"
            " for s3://, gcsfs for gs://, huggingface_hub for hf://), or check the spelling"
        ) from error
    return filesystem, str(place)
