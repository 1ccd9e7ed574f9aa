"""Contact sheets: pictures in a grid, each with lines of text below it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from PIL import Image, ImageDraw, ImageFont

GAP_PX = 8  # around every tile
_LINE_GAP_PX = 4
_MORE = "..."  # not every font has an ellipsis


@dataclass(frozen=True)
class Tile:
    """A picture and the (text, colour) of each line below it."""

    picture: Image.Image
    lines: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Sheet:
    """The layout of a contact sheet.

    Attributes:
        columns: Tiles a row.
        picture_wh: Room for each picture, pixels; a smaller one is put at the room's top left.
        lines: Lines of text a tile.
        text_px: Size of the text.
    """

    columns: int
    picture_wh: tuple[int, int]
    lines: int
    text_px: int

    def corner(self, index: int) -> tuple[int, int]:
        """Return where (left, top) the picture of a tile begins in the sheet."""
        width, height = self._cell_wh
        row, column = divmod(index, self.columns)
        return GAP_PX + column * width, GAP_PX + row * height

    def draw(self, tiles: Sequence[Tile]) -> Image.Image:
        """Return the sheet, RGB on white."""
        rows = -(-len(tiles) // self.columns)
        width, height = self._cell_wh
        size = self.columns * width + GAP_PX, rows * height + GAP_PX
        sheet = Image.new("RGB", size, "white")
        draw = ImageDraw.Draw(sheet)
        for index, tile in enumerate(tiles):
            left, top = self.corner(index)
            sheet.paste(tile.picture, (left, top))
            for line, (text, color) in enumerate(tile.lines):
                y = top + self.picture_wh[1] + _LINE_GAP_PX // 2 + line * self._line_px
                draw.text((left, y), text, fill=color, font=self._font)
        return sheet

    def wrapped(self, text: str, lines: int) -> list[str]:
        """Return a text as that many lines, the last cut where it is too long, or empty."""
        words, result = text.split(), []
        for _ in range(lines - 1):
            taken = 0
            while taken < len(words) and self._fits(" ".join(words[: taken + 1])):
                taken += 1
            taken = max(taken, 1)  # a word longer than a line has one of its own
            result.append(self.shortened(" ".join(words[:taken])))
            words = words[taken:]
        return [*result, self.shortened(" ".join(words))]

    def shortened(self, text: str, *, start: bool = False) -> str:
        """Return a text that fits into one line, its end (or its `start`) cut where it must."""
        if self._fits(text):
            return text
        while text and not self._fits(text + _MORE):
            text = text[1:] if start else text[:-1]
        return _MORE + text if start else text.rstrip() + _MORE

    def _fits(self, text: str) -> bool:
        return self._font.getlength(text) <= self.picture_wh[0]

    @cached_property
    def _font(self) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
        return ImageFont.load_default(size=self.text_px)

    @property
    def _line_px(self) -> int:
        return self.text_px + _LINE_GAP_PX

    @property
    def _cell_wh(self) -> tuple[int, int]:
        width, height = self.picture_wh
        return width + GAP_PX, height + self.lines * self._line_px + _LINE_GAP_PX + GAP_PX


def fitted(image: Image.Image, room_wh: tuple[int, int]) -> Image.Image:
    """Return an image made smaller, or enlarged a whole number of times, to fit into some room."""
    image = image.copy()
    image.thumbnail(room_wh)
    return enlarged(image, min(room_wh[0] // image.width, room_wh[1] // image.height))


def enlarged(image: Image.Image, times: int) -> Image.Image:
    """Return an image with each of its pixels `times` x `times` large."""
    size = image.width * times, image.height * times
    return image.resize(size, Image.Resampling.NEAREST)
