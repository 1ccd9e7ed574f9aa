"""Checksums that a content holds of itself, so that flipped bits are noticed when it is read."""

from __future__ import annotations

import re
import zlib

UNSEALED = b"crc32=00000000"  # the place of a checksum that is not known yet
_SEAL = re.compile(rb"crc32=[0-9a-f]{8}")


def seal_of(content: bytes) -> bytes:
    """Return the checksum of a content that holds it, or its place, itself."""
    return b"crc32=%08x" % zlib.crc32(_SEAL.sub(UNSEALED, content))


def sealed(content: bytes) -> bytes:
    """Return a content with its checksum in the place that it has for it."""
    return content.replace(UNSEALED, seal_of(content))


def is_whole(content: bytes) -> bool:
    """Return whether a content holds one checksum, and that is its own."""
    return _SEAL.findall(content) == [seal_of(content)]
