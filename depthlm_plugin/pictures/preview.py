"""Contact sheets of samples: what a model sees, is asked and shall answer, the mark enlarged."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from PIL import Image, ImageDraw

from ..errors import DepthLMError, RecordError
from ..records.rows import Rows
from ..sampling.planner import Planner
from ..sampling.sample import Sample
from .sheet import GAP_PX, Sheet, Tile, enlarged, fitted

_PICTURE_WH = 384, 288
_DETAIL_PX = 140  # side of the two details beside the picture
_TIMES = 5  # enlargement of the second one: 28 pixels of the view
_FRAME = "#ffd400", "black"
_QUESTION_LINES, _ANSWER_LINES, _MOST_TILES = 2, 2, 200
_BLANK, _RED = "#eaeef2", "#cf222e"  # of the tile of a record that is refused
_SHEET = Sheet(
    columns=3,
    picture_wh=(_PICTURE_WH[0] + GAP_PX + _DETAIL_PX + 2 * GAP_PX, _PICTURE_WH[1]),
    lines=3 + _QUESTION_LINES + _ANSWER_LINES,  # the last is empty
    text_px=13,
)


def draw_sheet(
    planner: Planner, rows: Rows, chosen: Iterable[int], *, show_refused: bool = False
) -> tuple[Image.Image, list[dict[str, Any]]]:
    """Return the sheet of some records, and what each tile with a sample shows, and where.

    Args:
        planner: Decides the sample of a record.
        rows: The records.
        chosen: Their numbers, one for each tile.
        show_refused: Whether a record that no sample can be made or drawn of gets a tile that says
            why.

    Raises:
        DepthLMError: For such a record, unless those are shown.
    """
    tiles: list[Tile] = []
    shown: list[dict[str, Any]] = []
    for row in chosen:
        try:
            sample = _sample(planner, rows, row)
            picture, size_wh = _picture(sample)
        except DepthLMError as error:
            if not show_refused:
                raise
            tiles.append(_refused(row, error))
            continue
        left, top = _SHEET.corner(len(tiles))
        tiles.append(Tile(picture, _caption(sample)))
        shown.append(_described(sample) | {"box": [left, top, left + size_wh[0], top + size_wh[1]]})
    return _SHEET.draw(tiles), shown


def spread(path: str, rows: Rows, count: int) -> list[int]:
    """Return up to `count` row numbers, evenly spaced over the records.

    Args:
        path: The records' file, for messages.
        rows: The records.
        count: How many are wanted.

    Raises:
        DepthLMError: For a file without records, or a count that no sheet can have.
    """
    if count < 1:
        raise DepthLMError(f"--count must be 1 or more, found {count}")
    if not len(rows):
        raise DepthLMError(f"{path} holds no record")
    tiles = min(count, len(rows))
    return not_too_many([index * len(rows) // tiles for index in range(tiles)])


def not_too_many(rows: list[int]) -> list[int]:
    """Return row numbers for which a sheet has room.

    Raises:
        DepthLMError: For too many.
    """
    if len(rows) > _MOST_TILES:
        raise DepthLMError(f"a sheet has room for {_MOST_TILES} tiles; {len(rows)} were asked for")
    return rows


def _sample(planner: Planner, rows: Rows, row: int) -> Sample:
    """Return the first sample of a record; RecordError where there is none."""
    where, raw = rows[row]
    samples, counts = planner.plan(raw, where, row)
    if not samples:
        reasons = "; ".join(f"{count} {reason}" for reason, count in counts.most_common())
        raise RecordError("no question", where, f"nothing can be asked about it: {reasons}")
    return samples[0]


def _refused(row: int, error: DepthLMError) -> Tile:
    lines = _SHEET.wrapped(str(error), _SHEET.lines - 2)
    blank = Image.new("RGB", _SHEET.picture_wh, _BLANK)
    return Tile(blank, ((f"row {row}", "black"), *((line, _RED) for line in lines)))


def _picture(sample: Sample) -> tuple[Image.Image, tuple[int, int]]:
    """Return the view made small beside its mark in full size and enlarged; the view's size there.

    The frame in the small view is what the first detail shows.
    """
    view = sample.image
    result = Image.new("RGB", _SHEET.picture_wh, "white")
    small = fitted(view, _PICTURE_WH)
    result.paste(small, (0, 0))
    draw = ImageDraw.Draw(result)
    for pixel in sample.pixels:
        box = _around(view, pixel, _DETAIL_PX)
        x0, x1 = (edge * small.width // view.width for edge in box[::2])
        y0, y1 = (edge * small.height // view.height for edge in box[1::2])
        for inset, color in enumerate(_FRAME):
            if min(x1 - x0, y1 - y0) <= 2 * inset:  # a sliver of a view leaves no room for it
                continue
            draw.rectangle((x0 + inset, y0 + inset, x1 - 1 - inset, y1 - 1 - inset), outline=color)
    left = _PICTURE_WH[0] + GAP_PX
    if len(sample.views) == 2:
        second = fitted(sample.views[1].render(sample.where), (_DETAIL_PX, 2 * _DETAIL_PX + GAP_PX))
        result.paste(second, (left, 0))
        return result, small.size
    pixel = sample.pixels[0]
    result.paste(view.crop(_around(view, pixel, _DETAIL_PX)), (left, 0))
    detail = enlarged(view.crop(_around(view, pixel, _DETAIL_PX // _TIMES)), _TIMES)
    result.paste(detail, (left, _DETAIL_PX + GAP_PX))
    return result, small.size


def _around(view: Image.Image, pixel: tuple[int, int], side: int) -> tuple[int, int, int, int]:
    """Return the box of that side around a pixel, moved or cut to lie inside the view."""
    width, height = min(side, view.width), min(side, view.height)
    left = min(max(pixel[0] - side // 2, 0), view.width - width)
    top = min(max(pixel[1] - side // 2, 0), view.height - height)
    return left, top, left + width, top + height


def _described(sample: Sample) -> dict[str, Any]:
    question, answer = sample.turns[0]
    return {
        "row": sample.question.row,
        "where": sample.where,
        "image": sample.question.image,
        "point": sample.question.point,
        "size_wh": list(sample.view.size_wh),
        "pixel": list(sample.pixels[0]) if sample.pixels else None,
        "target": sample.target,
        "unit": sample.unit,
        "question": question,
        "answer": answer,
    }


def _caption(sample: Sample) -> tuple[tuple[str, str], ...]:
    shown = _described(sample)
    width, height = shown["size_wh"]
    place = "" if shown["pixel"] is None else f"point {shown['point']} at {sample.pixels[0]} in "
    numbers = (
        f"{place}{width}x{height}, f {sample.camera.fx:g}: {shown['target']:.4g} {shown['unit']}"
    )
    title = _SHEET.shortened(f"row {shown['row']}  {shown['image']}", start=True)
    return (
        (title, "black"),
        (numbers, "#57606a"),
        *((line, "#0550ae") for line in _SHEET.wrapped(shown["question"], _QUESTION_LINES)),
        *((line, "#1a7f37") for line in _SHEET.wrapped(shown["answer"], _ANSWER_LINES)),
    )
