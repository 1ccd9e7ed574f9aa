"""Knows whether the installed LLaMA-Factory is one that this package can extend."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from packaging.version import Version

from ..errors import HostError

KNOWN_GOOD = ("0.9.5",)

broken: dict[str, str] = {}
"""Seams that are not as expected: name -> what is wrong."""


def problem() -> str:
    """Return why depth runs would break, or be wrong, with what is installed; empty if they work.

    Seams that have moved are known once LLaMA-Factory was imported.
    """
    try:
        require()
    except HostError as refused:
        return str(refused)
    return ""


def require() -> None:
    """Raise one clear error when depth runs would break, or be wrong, with what is installed.

    Raises:
        HostError: Naming every seam of LLaMA-Factory that has moved and the versions that are known
            to work, or a transformers whose positions are wrong.
    """
    transformers = _installed("transformers")
    if transformers is not None and Version("5.3.dev0") <= transformers < Version("5.5.4"):
        raise HostError(
            f"transformers {transformers} gives still pictures of Qwen2.5-VL wrong positions in"
            ' time (5.3 to 5.5.3 do); pip install "transformers>=5.6"'
        )
    if not broken:
        return
    from llamafactory import __version__ as found

    raise HostError(
        f"LLaMA-Factory {found} is not as depthlm-plugin expects it:\n"
        + "\n".join(f"  {seam}: {problem}" for seam, problem in sorted(broken.items()))
        + f"\nKnown to work: LLaMA-Factory {', '.join(KNOWN_GOOD)}. Install one of these"
        f' (pip install "llamafactory=={KNOWN_GOOD[-1]}") or a newer depthlm-plugin.'
    )


def _installed(name: str) -> Version | None:
    try:
        return Version(version(name))
    except PackageNotFoundError:
        return None
