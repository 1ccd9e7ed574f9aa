"""A contact sheet of predictions shows what the model saw, what it said and what is true."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from ..pictures.sheet import Sheet, Tile, fitted
from ..sampling.dataset import DepthSamples
from ..scoring.prediction import PredictionRow
from ..scoring.scores import score_rows

_SHEET = Sheet(columns=4, picture_wh=(252, 252), lines=2, text_px=16)


def prediction_sheet(
    rows: Sequence[PredictionRow], data: Path, focal_px: float, crop_px: int, tiles: int = 12
) -> Image.Image:
    """Return a picture of evenly chosen prediction rows, right answers green, wrong ones red.

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
    by_point = {(sample.question.row, sample.question.point): sample for sample in samples}
    shown = []
    for row in chosen:
        picture = fitted(by_point[row["row"], row["point"]].image, _SHEET.picture_wh)
        answer = "no answer" if row["value"] is None else f"answer {row['value']:.2f} m"
        colour = "#1a7f37" if score_rows([row])["delta1"] else "#cf222e"
        shown.append(Tile(picture, ((answer, colour), (f"true {row['target']:.2f} m", "black"))))
    return _SHEET.draw(shown)
