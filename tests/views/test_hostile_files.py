"""A corpus of pictures made to be misread: each is decoded to 8-bit RGB, or refused, quickly."""

import io
import random
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, features

from depthlm_plugin import Camera
from depthlm_plugin.errors import RecordError
from depthlm_plugin.views.decode import FORMATS, _eight_bit, image_size, load_pixels, load_rgb
from depthlm_plugin.views.render import source_pixels

WHERE = "records.jsonl:7"
PIXELS = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
PHOTO = Image.fromarray(PIXELS)
READERS = {
    "Pillow": load_rgb,
    "torchvision": lambda *given: load_pixels(*given, fast=True),
}


def encoded(form, image=PHOTO, **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_with(*chunks, last):
    """A PNG file with chunks before its pixels, or after them."""
    data = encoded("PNG")
    at = data.index(b"IEND" if last else b"IDAT") - 4
    return data[:at] + b"".join(chunks) + data[at:]


def jpeg_with(payload):
    data = encoded("JPEG")
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload + data[2:]


def tiff_orientation(kind, count, value, order="<"):
    """An EXIF block whose orientation is of any TIFF type: 2 text, 3 short, 1 byte, 7 undefined."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    head = mark + struct.pack(f"{order}IH", 8, 1) + struct.pack(f"{order}HHI", 274, kind, count)
    if len(value) <= 4:
        return head + value.ljust(4, b"\0") + bytes(4)
    return head + struct.pack(f"{order}I", 26) + bytes(4) + value


SIX = tiff_orientation(3, 1, struct.pack("<H", 6))
XMP = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
XMP_QUOTED = XMP.replace(b'="6"', b" = '6'")
XMP_ELEMENT = b"<x:xmpmeta><tiff:Orientation>6</tiff:Orientation></x:xmpmeta>"


def raw_profile(name, data):
    """What ImageMagick writes: a name, a length and hexadecimal lines."""
    lines = [data.hex()[at : at + 72] for at in range(0, 2 * len(data), 72)]
    return "\n".join(["", name, f"{len(data):8}", *lines, ""]).encode()


def itxt(keyword, text, packed=False):
    data = zlib.compress(text) if packed else text
    return chunk(b"iTXt", keyword + b"\0" + bytes([packed, 0]) + b"en\0\0" + data)


def ztxt(keyword, text):
    return chunk(b"zTXt", keyword + b"\0\0" + zlib.compress(text))


PNG_CHUNKS = {
    "eXIf": chunk(b"eXIf", SIX),
    "eXIf big-endian": chunk(b"eXIf", tiff_orientation(3, 1, struct.pack(">H", 6), ">")),
    "tEXt profile": chunk(
        b"tEXt", b"Raw profile type exif\0" + raw_profile("exif", b"Exif\0\0" + SIX)
    ),
    "zTXt profile": ztxt(b"Raw profile type exif", raw_profile("exif", b"Exif\0\0" + SIX)),
    "zTXt APP1 profile": ztxt(b"Raw profile type APP1", raw_profile("generic", b"Exif\0\0" + SIX)),
    "XMP": itxt(b"XML:com.adobe.xmp", XMP),
    "XMP packed": itxt(b"XML:com.adobe.xmp", XMP, packed=True),
    "XMP element": itxt(b"XML:com.adobe.xmp", XMP_ELEMENT),
    "XMP profile": ztxt(b"Raw profile type xmp", raw_profile("xmp", XMP_QUOTED)),
}
TURNED = {
    **{f"PNG {name} first": png_with(each, last=False) for name, each in PNG_CHUNKS.items()},
    **{f"PNG {name} last": png_with(each, last=True) for name, each in PNG_CHUNKS.items()},
    **{
        f"JPEG {name}": jpeg_with(b"Exif\0\0" + block)
        for name, block in {
            "short": SIX,
            "text": tiff_orientation(2, 2, b"6\0"),
            "text with spaces": tiff_orientation(2, 7, b"  6   \0"),
            "byte": tiff_orientation(1, 1, b"\6"),
            "undefined": tiff_orientation(7, 1, b"\6"),
            "two shorts": tiff_orientation(3, 2, struct.pack("<HH", 6, 6)),
            "long": tiff_orientation(4, 1, struct.pack("<I", 6)),
        }.items()
    },
    **{
        f"JPEG {name}": jpeg_with(b"http://ns.adobe.com/xap/1.0/\0" + xmp)
        for name, xmp in {"XMP": XMP, "XMP quoted": XMP_QUOTED, "XMP element": XMP_ELEMENT}.items()
    },
    "WebP": encoded("WEBP", lossless=True, exif=b"Exif\0\0" + SIX),
    "WebP XMP": encoded("WEBP", lossless=True, xmp=XMP_QUOTED),
}


@pytest.mark.filterwarnings("ignore:Metadata Warning")  # of Pillow, about two shorts
@pytest.mark.parametrize("name", TURNED)
def test_every_way_to_say_that_a_picture_is_turned_is_seen(tmp_path, name):
    path = tmp_path / "photo"
    path.write_bytes(TURNED[name])
    for read in (image_size, *READERS.values()):
        with pytest.raises(RecordError, match="turned by its EXIF orientation 6") as caught:
            read(str(path), WHERE)
        assert caught.value.reason == "exif rotation"
    assert image_size(str(path), WHERE, "apply") == (40, 60)
    assert image_size(str(path), WHERE, "ignore") == (60, 40)
    stored = np.asarray(load_rgb(str(path), WHERE, "ignore"))
    for read in READERS.values():
        np.testing.assert_array_equal(read(str(path), WHERE, "ignore"), stored)
        np.testing.assert_array_equal(read(str(path), WHERE, "apply"), np.rot90(stored, -1))


@pytest.mark.parametrize("text", [b"Rotate 90 CW\0", b"right-top\0", b"\xb2\0"])
def test_an_orientation_in_words_is_refused(tmp_path, text):
    path = tmp_path / "photo"
    path.write_bytes(jpeg_with(b"Exif\0\0" + tiff_orientation(2, len(text), text)))
    for rule in ("refuse", "apply"):
        for read in (image_size, *READERS.values()):
            with pytest.raises(RecordError, match="expected a number from 1 to 8"):
                read(str(path), WHERE, rule)
    assert image_size(str(path), WHERE, "ignore") == (60, 40)


def deep_png(mode):
    """A PNG file of 16 bits a channel, which Pillow does not write."""
    channels = 3 if mode == 2 else 4
    deep = np.random.default_rng(1).integers(0, 2**16, (40, 60, channels)).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in deep)
    data = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 60, 40, 16, mode, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
    return data, (deep[..., :3] >> 8).astype(np.uint8)


@pytest.mark.parametrize("mode", [2, 6], ids=["RGB", "RGBA"])
@pytest.mark.parametrize("fast", [True, False])
def test_16_bit_colours_keep_their_high_byte(tmp_path, mode, fast):
    data, expected = deep_png(mode)
    (tmp_path / "photo.png").write_bytes(data)
    pixels = load_pixels(str(tmp_path / "photo.png"), WHERE, fast=fast)
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, expected)


def test_a_decoder_that_gives_more_than_8_bits_is_refused():
    from depthlm_plugin.views.torch_filter import decode

    data, _ = deep_png(2)
    pixels = decode(np.frombuffer(bytearray(data), np.uint8), "PNG")  # which it is never given
    assert pixels.dtype == np.uint16
    with pytest.raises(RecordError, match=r"became uint16 \(.*, 3\).*expected 8-bit RGB"):
        _eight_bit(pixels, "photo.png", WHERE)


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize(("form", "data"), [("PNG", b"IDAT"), ("JPEG", b"\xff\xda")])
def test_the_size_is_compared_before_decoding(tmp_path, form, data, fast):
    content = encoded(form)
    path = tmp_path / "photo"
    path.write_bytes(content[: content.index(data) + 14])  # there is nothing to decode
    camera = Camera(50, 50, 20, 30, (61, 40))
    with pytest.raises(RecordError, match="is 60x40 but its intrinsics are for 61x40"):
        source_pixels(str(path), camera, WHERE, "refuse", fast=fast)


HANGING_DDS = (  # a header that Pillow's decoder of DDS files does not get past
    b"DDS " + struct.pack("<7I", 124, 0x1007, 2**14, 2**14, 0, 0, 0) + bytes(44)
    + struct.pack("<8I", 32, 0x40, 0, 0, 0, 0, 0, 0) + bytes(20)
)  # fmt: skip
OTHERS = {
    "DDS": HANGING_DDS,
    **{form: encoded(form) for form in ("EPS", "ICO", "ICNS", "PCX", "SGI", "TGA", "IM")},
    "animation": encoded("GIF", save_all=True, append_images=[Image.new("RGB", (60, 40))]),
    "text": b"not a picture" * 20,
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_formats_are_refused(tmp_path, name):
    path = tmp_path / "photo.png"
    path.write_bytes(OTHERS[name])
    for read in (image_size, *READERS.values()):
        with pytest.raises(RecordError, match=r"not an image file of a format|is an animation"):
            read(str(path), WHERE)


def mutations(data, count, seed):
    """Files that were damaged: bits flipped, cut, bytes spliced, 32-bit numbers replaced."""
    rng = random.Random(seed)
    for number in range(count):
        damaged = bytearray(data)
        # Half of the damage is where headers are.
        reach = len(data) if number % 2 else min(len(data), 160)
        at = rng.randrange(reach)
        how = number % 4
        if how == 0:
            for _ in range(rng.randint(1, 8)):
                damaged[rng.randrange(reach)] ^= 1 << rng.randrange(8)
        elif how == 1:
            del damaged[at:]
        elif how == 2:
            start = rng.randrange(len(data))
            damaged[at:at] = damaged[start : start + rng.randint(1, 64)]
        else:
            damaged[at : at + 4] = rng.choice([b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\0\0"])
        yield bytes(damaged)


@pytest.mark.slow  # 100 files a format
@pytest.mark.filterwarnings("ignore")  # of Pillow, about damaged metadata
@pytest.mark.parametrize("form", FORMATS)
def test_damaged_files_are_decoded_or_refused(tmp_path, form):
    if form == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    exif = {} if form in ("BMP", "PPM", "GIF") else {"exif": tiff_orientation(3, 1, b"\1\0")}
    path = tmp_path / "photo"
    camera = Camera(50, 50, 30, 20, (60, 40))
    ends = set()
    for damaged in mutations(encoded(form, **exif), 100, seed=form):
        path.write_bytes(damaged)
        for fast in (True, False):
            try:
                pixels = load_pixels(str(path), WHERE, "refuse", camera, fast=fast)
                assert (pixels.dtype, pixels.shape) == (np.uint8, (40, 60, 3))
                ends.add("decoded")
            except RecordError as error:
                ends.add(error.reason)
    assert "unreadable image" in ends
