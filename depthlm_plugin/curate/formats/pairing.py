"""Files of two patterns, paired by what their stars match: by identifier, never by position."""

from __future__ import annotations

import re
from pathlib import Path

from ...errors import ConfigError, DepthLMError

_ENDINGS = ("png", "jpg", "jpeg", "PNG", "JPG", "JPEG")
_SUFFIXES = rf"\.(?:{'|'.join(_ENDINGS)})"


def find_pattern(root: Path, given: str | None, folders: tuple[str, ...]) -> str | None:
    """Return the pattern of files: the one given, or that of the first folder that has some.

    Args:
        root: Where to look.
        given: A relative pattern whose stars match within a name; None: look for `folders`, or one
            picture of such a name.
        folders: Names of folders, of the root or of the folders in it.

    Returns:
        A pattern that files match, or None.
    """
    if given is not None:
        return given if matches(root, given) else None
    files = [f"{name}.{ending}" for name in folders for ending in _ENDINGS]
    for inside in ([f"{folder}/*" for folder in folders], files):
        for depth in ("", "*/"):
            for place in inside:
                if matches(root, f"{depth}{place}"):
                    return f"{depth}{place}"
    return None


def matches(root: Path, pattern: str) -> dict[tuple[str, ...], str]:
    """Return the files of a pattern: what its stars matched, and the path relative to `root`.

    A pattern without a suffix means pictures (`.png`, `.jpg`, `.jpeg`).

    Raises:
        ConfigError: For a pattern that is not below the root, or that cannot be.
        DepthLMError: For two files with the same text in place of the stars.
    """
    try:
        found = sorted(root.glob(pattern))
    except (ValueError, NotImplementedError) as error:
        raise ConfigError(
            f"the pattern {pattern!r} matches no names below --root: {error}"
        ) from error
    if ".." in pattern.split("/"):
        raise ConfigError(f"the pattern {pattern!r} goes up; give one of names below --root")
    regex = "([^/]+)".join(map(re.escape, pattern.split("*")))
    if pattern.endswith("*"):
        regex += _SUFFIXES
    files: dict[tuple[str, ...], str] = {}
    for path in found:
        relative = path.relative_to(root).as_posix()
        match = re.fullmatch(regex, relative)
        if match is None or not path.is_file():
            continue
        stars = match.groups()
        if stars in files:
            raise DepthLMError(
                f"{root / relative} and {files[stars]} have the same identifier {'/'.join(stars)};"
                " give a pattern with a suffix, as rgb/*.png"
            )
        files[stars] = relative
    return files


def fill(pattern: str, stars: tuple[str, ...]) -> str:
    """Return a pattern with the text of another's stars; fewer stars take the first ones.

    Raises:
        ConfigError: For a pattern with more stars than there are texts.
    """
    wanted = pattern.count("*")
    if wanted > len(stars):
        raise ConfigError(
            f"the pattern {pattern!r} has {wanted} stars but pictures have {len(stars)}:"
            f" {'/'.join(stars)}"
        )
    # One star of several means the picture's own name when it is in the last part of the path.
    texts = iter(stars if wanted == len(stars) else _fitting(pattern, stars, wanted))
    return re.sub(r"\*", lambda _: next(texts), pattern)


def _fitting(pattern: str, stars: tuple[str, ...], wanted: int) -> tuple[str, ...]:
    in_name = "*" in pattern.rpartition("/")[2]
    return (*stars[: wanted - 1], stars[-1]) if in_name else stars[:wanted]


def pairs(root: Path, first: str, second: str) -> list[tuple[tuple[str, ...], str, str | None]]:
    """Return (stars, file of `first`, file of `second` with the same stars or None), in order.

    Patterns without stars are one file each.

    Raises:
        ConfigError: For two patterns of which one has stars and the other is a file.
    """
    if ("*" in first) != ("*" in second):
        without = first if "*" in second else second
        raise ConfigError(
            f"the pattern {without!r} has no star for what differs between files, the other has:"
            f" {second if '*' in second else first!r}"
        )
    partners = matches(root, second)
    return [
        (stars, path, partners.get(stars)) for stars, path in sorted(matches(root, first).items())
    ]
