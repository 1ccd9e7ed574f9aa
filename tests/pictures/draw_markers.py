"""Draws markers.png, the README's sheet of all markers: `python tests/pictures/draw_markers.py`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from depthlm_plugin.geometry.arrays import Pixels
from depthlm_plugin.views.markers import MARKERS, RED, Color, get_marker

TILE_WH = (48, 29)
POINT_XY = (12, 14)
ENLARGED = 5
LEFT, TOP, GAP = 150, 66, 18
POINT_COLOR = (0, 255, 255)
WHITE, BLACK, YELLOW = (255, 255, 255), (0, 0, 0), (255, 255, 0)
INK, TICK = (30, 30, 30), (0, 130, 150)

# Background, marker_px, marker_color, marker_outline, number.
COLUMNS: list[tuple[str, int, Color, Color | None, int]] = [
    ("wall", 5, RED, None, 1),
    ("bricks", 5, RED, WHITE, 2),
    ("tiles", 8, RED, None, 3),
    ("tiles", 8, YELLOW, BLACK, 27),
]


def scene(kind: str) -> Pixels:
    """Return one of three backgrounds (H, W, 3), the marked pixel in cyan."""
    rows, columns = np.indices(TILE_WH[::-1])
    if kind == "wall":
        grey = 190 - rows * 2
        pixels = np.stack([grey, grey, grey - 8], axis=-1)
    elif kind == "bricks":
        course = rows // 5
        mortar = (rows % 5 == 0) | ((columns + course % 2 * 6) % 12 == 0)
        shade = (columns + course % 2 * 6) // 12 * 37 + course * 23
        red = 175 + shade % 31
        pixels = np.stack([red, red // 4, red // 5], axis=-1)
        pixels[mortar] = (150, 120, 110)
    else:
        dark = (rows // 4 + columns // 4) % 2 == 0
        pixels = np.where(dark[..., None], (60, 75, 70), (205, 210, 190))
    result = pixels.astype(np.uint8)
    result[POINT_XY[::-1]] = POINT_COLOR
    return result


def tiles() -> Iterator[tuple[tuple[int, int, int, int], Image.Image]]:
    """Yield each enlarged mark and its box (left, top, right, bottom) in the sheet."""
    width, height = (side * ENLARGED for side in TILE_WH)
    for row, name in enumerate(MARKERS):
        for column, (kind, size_px, color, outline, number) in enumerate(COLUMNS):
            pixels = scene(kind)
            marker = get_marker(name, size_px, color=color, outline=outline, number=number)
            # A number reaches right only, its margin is on all sides: draw with room, then cut.
            room = marker.margin_px
            wide = np.pad(pixels, ((room, room), (room, room), (0, 0)))
            marker.draw(wide, POINT_XY[0] + room, POINT_XY[1] + room)
            pixels = wide[room:-room, room:-room]
            left, top = LEFT + column * (width + GAP), TOP + row * (height + GAP)
            image = Image.fromarray(pixels).resize((width, height), Image.Resampling.NEAREST)
            yield (left, top, left + width, top + height), image


def sheet() -> Image.Image:
    """Return the whole sheet: names, sizes and colours in text, ticks at the marked pixels."""
    drawn = list(tiles())
    right, bottom = drawn[-1][0][2:]
    image = Image.new("RGB", (right + GAP, bottom + GAP), WHITE)
    draw = ImageDraw.Draw(image)
    for row, name in enumerate(MARKERS):
        left, top, _, low = drawn[row * len(COLUMNS)][0]
        draw.text((left - GAP, (top + low) // 2), name, INK, ImageFont.load_default(22), "rm")
    for column, (_, size_px, color, outline, _) in enumerate(COLUMNS):
        left = drawn[column][0][0]
        names = {RED: "red", YELLOW: "yellow", WHITE: "white", BLACK: "black", None: "no"}
        draw.text((left, 8), f"marker_px: {size_px}", INK, ImageFont.load_default(18))
        style = f"{names[color]}, {names[outline]} outline"
        draw.text((left, 32), style, INK, ImageFont.load_default(15))
    for (left, top, right, bottom), tile in drawn:
        image.paste(tile, (left, top))
        x = left + POINT_XY[0] * ENLARGED + ENLARGED // 2
        y = top + POINT_XY[1] * ENLARGED + ENLARGED // 2
        for tick in [(x, top - 7, x, top - 2), (x, bottom + 1, x, bottom + 6)]:
            draw.line(tick, TICK, 3)
        for tick in [(left - 7, y, left - 2, y), (right + 1, y, right + 6, y)]:
            draw.line(tick, TICK, 3)
    return image


if __name__ == "__main__":
    path = Path(__file__).with_name("markers.png")
    sheet().save(path, optimize=True)
    print(f"{path.name}: {path.stat().st_size} bytes")
