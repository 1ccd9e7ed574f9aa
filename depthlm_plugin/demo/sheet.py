"""A contact sheet of predictions: what the model saw, what it said and what is true."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from ..metrics import THRESHOLD
from ..samples import DepthSamples

_TILE_PX, _TEXT_PX, _GAP_PX = 252, 44, 8


def prediction_sheet(
    rows: Sequence[dict[str, Any]], data: Path, focal_px: float, crop_px: int, tiles: int = 12
) -> Image.Image:
    """Return a picture of evenly chosen sidecar rows, right answers in green, wrong ones in red.

    Args:
        rows: Rows of `depth_predictions.jsonl`, of one dataset.
        data: Folder of the dataset's records.
        focal_px: Focal length that the model was shown.
        crop_px: Side of the crop that it was shown.
        tiles: How many rows to show, four a line.
    """
    chosen = [rows[index * len(rows) // tiles] for index in range(min(tiles, len(rows)))]
    samples = DepthSamples(
        data / f"{chosen[0]['dataset']}.jsonl",
        focal_px=focal_px,
        crop_height=[crop_px, crop_px],
        crop_width=[crop_px, crop_px],
        prompt="plain",
        points_per_record="all",
    )
    by_point = {(s.question.row, s.question.point): s for s in samples}
    columns = 4
    lines = -(-len(chosen) // columns)
    cell_w, cell_h = _TILE_PX + _GAP_PX, _TILE_PX + _TEXT_PX + _GAP_PX
    sheet = Image.new("RGB", (columns * cell_w + _GAP_PX, lines * cell_h + _GAP_PX), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=16)
    for index, row in enumerate(chosen):
        left = _GAP_PX + index % columns * cell_w
        top = _GAP_PX + index // columns * cell_h
        image = by_point[row["row"], row["point"]].image
        image.thumbnail((_TILE_PX, _TILE_PX))
        scale = _TILE_PX // max(image.size)
        size = (image.width * scale, image.height * scale)
        sheet.paste(image.resize(size, Image.Resampling.NEAREST), (left, top))
        answer = "no answer" if row["value"] is None else f"answer {row['value']:.2f} m"
        colour = "#1a7f37" if _right(row) else "#cf222e"
        draw.text((left, top + _TILE_PX + 2), answer, fill=colour, font=font)
        draw.text((left, top + _TILE_PX + 22), f"true {row['target']:.2f} m", "black", font)
    return sheet


def _right(row: dict[str, Any]) -> bool:
    value, target = row["value"], row["target"]
    return value is not None and max(value / target, target / value) < THRESHOLD
