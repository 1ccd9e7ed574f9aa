"""How an image file says that it is to be turned: EXIF, or XMP where EXIF says nothing."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import IO, Any

from PIL import Image

_EXIF_ORIENTATION = 274
_XMP_ORIENTATION = re.compile(rb"tiff:Orientation\s*(?:=\s*[\"']|>)([^\"'<]*)")
_EXIF_KEYWORDS = (b"raw profile type exif", b"raw profile type app1")
_XMP_KEYWORDS = (b"xml:com.adobe.xmp", b"raw profile type xmp")
_MOST_BYTES = 2**24  # of a chunk that is read, packed or not


def orientation_of(image: Image.Image) -> int | str:
    """Return the EXIF orientation of an opened file that is not decoded yet.

    Returns:
        1 to 8, where 1 is upright (as is a file that says nothing, 0, or a reserved number), or the
        text of an orientation that is no number.

    Raises:
        Exception: Whatever Pillow raises for damaged metadata.
    """
    exif, xmp = metadata_of(image)
    stored = exif.get(_EXIF_ORIENTATION)
    if stored is None and isinstance(xmp, bytes):
        found = _XMP_ORIENTATION.search(xmp)
        stored = None if found is None else found[1]
    return _understood(stored)


def metadata_of(image: Image.Image) -> tuple[Image.Exif, bytes | None]:
    """Return the EXIF and the XMP of an opened file that is not decoded yet.

    Raises:
        Exception: Whatever Pillow raises for damaged metadata.
    """
    if image.format == "PNG":
        # Pillow decodes the whole picture to find what follows the pixels.
        return _png_metadata(image.fp)
    return image.getexif(), image.info.get("xmp")


def _understood(stored: Any) -> int | str:
    if isinstance(stored, tuple):
        stored = stored[0] if stored else None
    if isinstance(stored, bytes):
        stored = stored[0] if len(stored) == 1 and stored[0] < 9 else stored.decode("latin-1")
    if isinstance(stored, str):
        stored = stored.strip(" \t\r\n\0")
        if not stored.isdecimal():
            return stored or 1
        stored = int(stored)
    return int(stored) if stored in range(2, 9) else 1


def _png_metadata(file: IO[bytes] | None) -> tuple[Image.Exif, bytes | None]:
    """Return the EXIF and the XMP of a PNG file, wherever in the file they are."""
    exif, xmp = Image.Exif(), None
    if file is None:
        return exif, xmp
    place = file.tell()
    for kind, data in _png_chunks(file):
        if kind == b"eXIf":
            exif.load(data)
            continue
        keyword, _, text = data.partition(b"\0")
        keyword = keyword.lower()
        if keyword in _EXIF_KEYWORDS and _EXIF_ORIENTATION not in exif:
            exif.load(_profile(_text(kind, text)))
        elif keyword in _XMP_KEYWORDS:
            xmp = _text(kind, text)
            xmp = _profile(xmp) if keyword.startswith(b"raw") else xmp
    file.seek(place)
    return exif, xmp


def _png_chunks(file: IO[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Yield the chunks (type, data) of a PNG file that can hold metadata."""
    place = 8  # after the signature
    while True:
        file.seek(place)
        head = file.read(8)
        kind = head[4:]
        if len(kind) < 4 or kind == b"IEND":
            return
        length = int.from_bytes(head[:4], "big")
        if kind in (b"eXIf", b"tEXt", b"zTXt", b"iTXt"):
            yield kind, file.read(min(length, _MOST_BYTES))
        place += 12 + length


def _text(kind: bytes, data: bytes) -> bytes:
    """Return the text of a tEXt, zTXt or iTXt chunk, `data` being what follows its keyword."""
    packed = kind == b"zTXt"
    if packed:
        data = data[1:]  # the method of compression
    elif kind == b"iTXt":
        packed = data[:1] == b"\1"
        data = data[2:].split(b"\0", 2)[-1]  # after the language and the translated keyword
    return zlib.decompressobj().decompress(data, _MOST_BYTES) if packed else data


def _profile(text: bytes) -> bytes:
    """Return the bytes of ImageMagick's `Raw profile`: a name, a length, then hexadecimals."""
    return bytes.fromhex(b"".join(text.split()[2:]).decode("ascii"))
