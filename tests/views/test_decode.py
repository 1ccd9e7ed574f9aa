import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from depthlm_plugin.errors import RecordError
from depthlm_plugin.views.decode import coarse_rgb, image_size, load_pixels, load_rgb

WHERE = "records.jsonl:7"


def palette(index):
    image = Image.new("P", (6, 4), index)
    image.putpalette([0, 0, 0, 10, 20, 30, 200, 100, 50])
    return image


def noise(size_wh=(60, 40)):
    width, height = size_wh
    return Image.fromarray(
        np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    )


def encoded(image, form, **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def with_orientation(value):
    exif = Image.Exif()
    exif[274] = value
    return exif


@pytest.mark.parametrize(
    ("name", "image", "options", "colour"),
    [
        ("grey.png", Image.new("L", (6, 4), 77), {}, (77, 77, 77)),
        ("grey-alpha.png", Image.new("LA", (6, 4), (77, 0)), {}, (77, 77, 77)),
        ("one-bit.png", Image.new("1", (6, 4), 1), {}, (255, 255, 255)),
        ("16-bit.png", Image.fromarray(np.full((4, 6), 0x80FF, np.uint16)), {}, (128, 128, 128)),
        ("32-bit.tif", Image.new("I", (6, 4), 0x80FF), {}, (128, 128, 128)),
        ("palette.png", palette(2), {}, (200, 100, 50)),
        ("palette-clear.png", palette(1), {"transparency": 1}, (10, 20, 30)),
        ("palette-alphas.png", palette(1), {"transparency": bytes([9, 0, 99])}, (10, 20, 30)),
        ("rgba.png", Image.new("RGBA", (6, 4), (1, 2, 3, 0)), {}, (1, 2, 3)),
        (
            "rgb-clear.png",
            Image.new("RGB", (6, 4), (1, 2, 3)),
            {"transparency": (1, 2, 3)},
            (1, 2, 3),
        ),
        ("cmyk.tif", Image.new("CMYK", (6, 4), (0, 255, 255, 0)), {}, (255, 0, 0)),
        ("cmyk-black.tif", Image.new("CMYK", (6, 4), (0, 0, 0, 155)), {}, (100, 100, 100)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_mode_becomes_rgb(tmp_path, name, image, options, colour):
    path = str(tmp_path / name)
    image.save(path, **options)
    assert image_size(path, WHERE) == (6, 4)
    rgb = load_rgb(path, WHERE)
    assert rgb.mode == "RGB"
    assert rgb.getcolors() == [(24, colour)]
    for fast in (True, False):
        np.testing.assert_array_equal(load_pixels(path, WHERE, fast=fast), rgb)


@pytest.mark.parametrize("rule", ["refuse", "apply", "ignore"])
@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("PNG", {}),
        ("PNG", {"compress_level": 0}),
        ("JPEG", {"quality": 75}),
        ("JPEG", {"quality": 100, "subsampling": "4:4:4"}),
        ("JPEG", {"quality": 30, "subsampling": "4:2:2", "progressive": True}),
        ("BMP", {}),
    ],
    ids=str,
)
def test_the_fast_decoders_agree_with_pillow_on_every_bit(tmp_path, form, options, rule):
    path = str(tmp_path / "photo")
    noise((61, 43)).save(path, form, **options)
    expected = np.asarray(load_rgb(path, WHERE, rule))
    pixels = load_pixels(path, WHERE, rule, fast=True)
    np.testing.assert_array_equal(pixels, expected)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    assert pixels.flags.writeable
    (tmp_path / "cut").write_bytes((tmp_path / "photo").read_bytes()[:-60])
    with pytest.raises(RecordError, match="cannot be decoded"):
        load_pixels(str(tmp_path / "cut"), WHERE, rule, fast=True)


def test_ibims_photographs_are_decoded_alike(ibims):
    for path in sorted((ibims / "rgb").iterdir())[:6]:
        fast, slow = (load_pixels(str(path), WHERE, fast=fast) for fast in (True, False))
        np.testing.assert_array_equal(fast, slow)


@pytest.mark.parametrize("over", [1.1, 2.1], ids=["Pillow warns", "Pillow refuses"])
def test_images_over_pillows_limit_are_refused(tmp_path, over):
    limit = Image.MAX_IMAGE_PIXELS
    path = tmp_path / "huge.bmp"
    Image.new("RGB", (2, 2)).save(path)
    side = int((limit * over) ** 0.5)
    content = bytearray(path.read_bytes())
    content[18:26] = side.to_bytes(4, "little") * 2  # the header's width and height
    path.write_bytes(content)
    for read in (image_size, load_rgb, lambda *a: load_pixels(*a, fast=True)):
        with pytest.raises(RecordError, match=rf"huge.bmp has more pixels .* {limit}; scale it"):
            read(str(path), WHERE)


def test_floating_point_pixels_are_refused(tmp_path):
    Image.new("F", (6, 4), 0.5).save(tmp_path / "depth.tif")
    with pytest.raises(RecordError, match=f"{WHERE}: .*depth.tif holds floating-point pixels"):
        load_rgb(str(tmp_path / "depth.tif"), WHERE)
    with pytest.raises(RecordError, match=f"{WHERE}: .*depth.tif holds floating-point pixels"):
        coarse_rgb(str(tmp_path / "depth.tif"), WHERE)


@pytest.mark.parametrize(
    "options",
    [{}, {"subsampling": 0}, {"progressive": True}, {"restart_marker_blocks": 2}],
    ids=["4:2:0", "4:4:4", "progressive", "restarts"],
)
def test_damaged_jpeg_is_refused_alike_without_its_pixels(tmp_path, options):
    whole = encoded(noise((61, 43)), "JPEG", **options)
    rng = np.random.default_rng(0)
    path = tmp_path / "photo"
    said = {"whole": 0, "refused": 0}
    for number in range(60):
        content = bytearray(whole)
        if number % 2:
            del content[rng.integers(200, len(whole)) :]
        else:
            start = rng.integers(len(whole))
            content[start : start + 3] = rng.bytes(3)
        path.write_bytes(content)
        words = []
        for read in (load_rgb, coarse_rgb):
            try:
                read(str(path), WHERE)
                words.append("")
            except RecordError as error:
                words.append(str(error))
        assert words[0] == words[1]
        said["refused" if words[0] else "whole"] += 1
    assert min(said.values()) > 5


@pytest.mark.parametrize(
    ("content", "reason", "found"),
    [
        pytest.param(None, "missing image", "does not exist", id="missing"),
        pytest.param(b"", "unreadable image", "not an image file", id="empty"),
        pytest.param(b"<html>404</html>" * 9, "unreadable image", "not an image file", id="html"),
        pytest.param(
            encoded(noise(), "PNG")[:5000], "unreadable image", "fetch it again", id="PNG"
        ),
        pytest.param(
            encoded(noise(), "JPEG")[:1200], "unreadable image", "fetch it again", id="JPEG"
        ),
    ],
)
def test_files_that_hold_no_whole_image_are_refused(tmp_path, content, reason, found):
    path = tmp_path / "photo"
    if content is not None:
        path.write_bytes(content)
    for read in (load_rgb, coarse_rgb, lambda *a: load_pixels(*a, fast=True)):
        with pytest.raises(RecordError, match=f"^{WHERE}: .*photo.*{found}") as caught:
            read(str(path), WHERE)
        assert caught.value.reason == reason


@pytest.mark.parametrize(("form", "cut_after"), [("PNG", b"IDAT"), ("JPEG", b"\xff\xda")])
@pytest.mark.parametrize("rule", ["refuse", "apply", "ignore"])
def test_image_size_reads_the_header_only(tmp_path, form, cut_after, rule):
    content = encoded(noise(), form)
    path = tmp_path / "photo"
    path.write_bytes(content[: content.index(cut_after) + 14])
    assert image_size(str(path), WHERE, rule) == (60, 40)
    with pytest.raises(RecordError, match="cannot be decoded"):
        load_rgb(str(path), WHERE, rule)


@pytest.mark.parametrize("form", ["png", "jpg"])
@pytest.mark.parametrize("orientation", range(2, 9))
def test_turned_images(tmp_path, form, orientation):
    path = str(tmp_path / f"photo.{form}")
    noise().save(path, exif=with_orientation(orientation))
    for read in (image_size, load_rgb):
        with pytest.raises(RecordError, match=f"{WHERE}: .*orientation {orientation}.*apply") as e:
            read(path, WHERE)
        assert e.value.reason == "exif rotation"
    with Image.open(path) as stored:
        turned = ImageOps.exif_transpose(stored)
        np.testing.assert_array_equal(load_rgb(path, WHERE, "apply"), turned)
        np.testing.assert_array_equal(load_pixels(path, WHERE, "apply", fast=True), turned)
        assert image_size(path, WHERE, "apply") == turned.size
        np.testing.assert_array_equal(load_rgb(path, WHERE, "ignore"), stored)
        np.testing.assert_array_equal(load_pixels(path, WHERE, "ignore", fast=True), stored)
        assert image_size(path, WHERE, "ignore") == (60, 40)


@pytest.mark.parametrize("orientation", [3, 6])
@pytest.mark.parametrize("rule", ["refuse", "apply", "ignore"])
@pytest.mark.parametrize("read", [image_size, load_rgb])
def test_turned_tiffs_are_refused_because_pillow_turns_them_itself(
    tmp_path, orientation, rule, read
):
    path = str(tmp_path / "photo.tif")
    noise().save(path, exif=with_orientation(orientation))
    with pytest.raises(RecordError, match=f"TIFF orientation {orientation}.*save .* upright"):
        read(path, WHERE, rule)


def test_orientation_6_is_turned_clockwise(tmp_path):
    image = Image.new("RGB", (3, 2))
    image.putpixel((0, 0), (255, 255, 255))  # top left; a clockwise turn brings it top right
    image.save(tmp_path / "a.png", exif=with_orientation(6))
    turned = load_rgb(str(tmp_path / "a.png"), WHERE, "apply")
    assert turned.size == (2, 3)
    assert turned.getpixel((1, 0)) == (255, 255, 255)


@pytest.mark.parametrize("orientation", [0, 1, 9], ids=["undefined", "upright", "reserved"])
@pytest.mark.parametrize("rule", ["refuse", "apply", "ignore"])
def test_an_orientation_that_means_nothing_is_upright(tmp_path, orientation, rule):
    path = str(tmp_path / "a.png")
    noise().save(path, exif=with_orientation(orientation))
    assert image_size(path, WHERE, rule) == (60, 40)
    np.testing.assert_array_equal(load_rgb(path, WHERE, rule), noise())


@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP", "PPM", "TIFF", "WEBP", "GIF"])
def test_a_decoded_picture_is_its_callers_alone(tmp_path, form):
    path = tmp_path / "a"
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, form)
    picture, other = (load_rgb(str(path), WHERE) for _ in range(2))
    path.write_bytes(b"\0" * path.stat().st_size)
    path.unlink()
    before = np.array(other)
    picture.paste((1, 2, 3), (0, 0, 60, 40))
    np.testing.assert_array_equal(other, before)
    assert before.std() > 30
    assert other.copy().resize((30, 20)).mode == "RGB"
