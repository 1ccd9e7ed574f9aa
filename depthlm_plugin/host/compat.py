"""Knows whether the installed LLaMA-Factory is one that this package can extend."""

from __future__ import annotations

from ..errors import HostError

KNOWN_GOOD = ("0.9.5",)

broken: dict[str, str] = {}
"""Seams that are not as expected: name -> what is wrong."""


def require() -> None:
    """Raise one clear error when LLaMA-Factory is not the one this package can extend.

    Raises:
        HostError: Naming every seam that has moved, and the versions that are known to work.
    """
    if not broken:
        return
    from llamafactory import __version__ as version

    raise HostError(
        f"LLaMA-Factory {version} is not as depthlm-plugin expects it:\n"
        + "\n".join(f"  {seam}: {problem}" for seam, problem in sorted(broken.items()))
        + f"\nKnown to work: LLaMA-Factory {', '.join(KNOWN_GOOD)}. Install one of these"
        f' (pip install "llamafactory=={KNOWN_GOOD[-1]}") or a newer depthlm-plugin.'
    )
