"""Whether an image processor keeps the focal length: measured in the pixels that a model receives.

A picture whose colours say where each pixel lies goes as a View through LLaMA-Factory's own plugin
into an image processor of transformers; its patching is undone, and focal lengths and the marked
point are measured in the pixels that the vision tower receives.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from depthlm_plugin import Camera, View
from depthlm_plugin.host.open_views import let_open
from depthlm_plugin.host.processors.grid import Grid
from depthlm_plugin.host.processors.registry import grid_of
from depthlm_plugin.views.view import Mark

SOURCE = Camera(fx=560.0, fy=540.0, cx=322.0, cy=237.5, size_wh=(640, 480))
PERIOD = 32  # source pixels after which the fine code of a position repeats


def picture(axis: int) -> Image.Image:
    """Return an image whose colour at (x, y) says x (axis 0) or y (axis 1).

    Red rises along the axis and tells the period; green and blue are the cosine and sine within it.
    They are never both dark, so nothing in it looks like the red mark.
    """
    width, height = SOURCE.size_wh
    position = np.arange((width, height)[axis])
    angle = 2 * np.pi * position / PERIOD
    code = np.stack(
        [
            20 + position * (200 / len(position)),
            128 + 100 * np.cos(angle),
            128 + 100 * np.sin(angle),
        ]
    )
    pixels = np.empty((height, width, 3), dtype=np.uint8)
    pixels[:] = np.round(code.T)[None] if axis == 0 else np.round(code.T)[:, None]
    return Image.fromarray(pixels)


def positions(pixels: np.ndarray, axis: int) -> np.ndarray:
    """Return the source coordinate (H, W) that each pixel (H, W, 3) shows."""
    red, cosine, sine = np.moveaxis(pixels.astype(np.float64), -1, 0)
    rough = (red - 20) * (SOURCE.size_wh[axis] / 200)
    fine = np.arctan2(sine - 128, cosine - 128) / (2 * np.pi) * PERIOD
    return fine + PERIOD * np.round((rough - fine) / PERIOD)


def patches(inputs: Any, processor: Any) -> list[np.ndarray]:
    """Qwen, GLM, ERNIE: merge groups of patches in rows, each channel, frame, row, column."""
    ip = processor.image_processor
    _, rows, columns = map(int, inputs["image_grid_thw"][0])
    side, merge = ip.patch_size, ip.merge_size
    blocks = inputs["pixel_values"].reshape(
        rows // merge, columns // merge, merge, merge, 3, -1, side, side
    )[:, :, :, :, :, 0]
    return [blocks.permute(4, 0, 2, 5, 1, 3, 6).reshape(3, rows * side, columns * side)]


def sized(inputs: Any, processor: Any) -> list[np.ndarray]:
    """Pixtral: the image, padded to the largest of the batch."""
    height, width = map(int, inputs["image_sizes"][0])
    return [inputs["pixel_values"][0][:, :height, :width]]


def whole(inputs: Any, processor: Any) -> list[np.ndarray]:
    """Fixed sizes: the image as it is."""
    key = "pixel_values_images" if "pixel_values_images" in inputs else "pixel_values"
    (image,) = inputs[key]
    return [image]


def soft_tokens(inputs: Any, processor: Any) -> list[np.ndarray]:
    """Gemma 4: patches in rows, channels last, with their (column, row)."""
    columns, rows = (int(count) + 1 for count in inputs["image_position_ids"][0].max(dim=0).values)
    return [_from_rows(inputs["pixel_values"][0], rows, columns)]


def masked(inputs: Any, processor: Any) -> list[np.ndarray]:
    """LFM2-VL: patches in rows, channels last, filled up to a limit."""
    rows, columns = map(int, inputs["spatial_shapes"][0])
    return [_from_rows(inputs["pixel_values"][0], rows, columns)]


def _from_rows(values: Any, rows: int, columns: int) -> Any:
    side = math.isqrt(values.shape[-1] // 3)
    blocks = values[: rows * columns].reshape(rows, columns, side, side, 3)
    return blocks.permute(4, 0, 2, 1, 3).reshape(3, rows * side, columns * side)


def overview_first(inputs: Any, processor: Any) -> list[np.ndarray]:
    """LLaVA-NeXT: an overview, then the tiles."""
    values = inputs["pixel_values"][0]
    return [_from_tiles(values[1:]), values[0]]


def overview_last(inputs: Any, processor: Any) -> list[np.ndarray]:
    """Llama 4: the tiles, then an overview."""
    values = inputs["pixel_values"]
    return [_from_tiles(values[:-1]), values[-1]]


def tiles(inputs: Any, processor: Any) -> list[np.ndarray]:
    """Llama 3.2 Vision: the tiles."""
    return [_from_tiles(inputs["pixel_values"][0, 0])]


def _from_tiles(values: Any) -> Any:
    a_side, edge = math.isqrt(len(values)), values.shape[-1]
    blocks = values.reshape(a_side, a_side, 3, edge, edge)
    return blocks.permute(2, 0, 3, 1, 4).reshape(3, a_side * edge, a_side * edge)


@dataclass(frozen=True)
class Measured:
    """What the model's pixels say, against what the View promised."""

    size_wh: tuple[int, int]  # of the image that reaches the vision tower
    fx_error: float  # percent of focal_px
    fy_error: float
    mark_error_px: float  # between the labelled point and where the arrow points
    overview: tuple[float, float] | None = None  # fx, fy of the overview / focal_px


def view_size(grid: Grid, full_wh: tuple[int, int]) -> tuple[int, int]:
    """Return the size of a view: the largest of the grid within the whole image."""
    if grid.fixed_wh:
        return grid.fixed_wh
    sides = [side // grid.multiple * grid.multiple for side in full_wh]
    while grid.problem((sides[0], sides[1])):
        longer = sides.index(max(sides))
        sides[longer] -= grid.multiple
    return sides[0], sides[1]


def measure(vlm: Any, folder: Path, size_wh: tuple[int, int] | None = None) -> Measured:
    """Return the measurements of a view of `size_wh`, by default the size that the grid asks for.

    Two views of one plan are sent, with the picture that codes x and with the one that codes y.
    """
    processor = vlm.processor()
    focal_px = 600.0  # more where a fixed size would be larger than the picture
    if size_wh is None:
        size_wh = view_size(grid_of(processor), SOURCE.scaled_to_focal(focal_px).size_wh)
    while not all(np.less_equal(size_wh, SOURCE.scaled_to_focal(focal_px).size_wh)):
        focal_px += 50
    full_w, full_h = SOURCE.scaled_to_focal(focal_px).size_wh
    left, top = (full_w - size_wh[0]) // 2, (full_h - size_wh[1]) // 2
    # The labelled pixel: near (0.6, 0.45) of the view, the one that needs least rounding there.
    aim = np.array([left + 0.6 * size_wh[0], top + 0.45 * size_wh[1]])
    center = (aim * [SOURCE.fx / focal_px, SOURCE.fy / focal_px]).astype(int)
    labels = center + np.stack(np.meshgrid(np.arange(16), np.arange(16)), axis=-1).reshape(-1, 2)
    exact = View("", SOURCE, focal_px, left, top, size_wh).pixels_from_source(labels)
    best = np.abs(exact - np.round(exact)).max(axis=1).argmin()
    label, (x, y) = labels[best], np.round(exact[best]).astype(int)

    images: list[list[np.ndarray]] = []
    for axis in (0, 1):
        path = folder / f"axis{axis}.png"
        picture(axis).save(path)
        mark = Mark("arrow", 5, int(x), int(y))
        view = View(str(path), SOURCE, focal_px, left, top, size_wh, (mark,))
        let_open(vlm.plugin, True)  # as a depth run does
        inputs = vlm.plugin._get_mm_inputs([view.to_uri()], [], [], processor)
        images.append([_colours(seen, processor) for seen in vlm.undo(inputs, processor)])
    focals = [_focals(images[0][n], images[1][n]) / focal_px for n in range(len(images[0]))]
    fx_error, fy_error = np.abs(focals[0] - 1) * 100
    height, width, _ = images[0][0].shape
    return Measured(
        (width, height),
        float(fx_error),
        float(fy_error),
        _mark_error(images[0][0], images[1][0], label, focals[0] * focal_px),
        tuple(map(float, focals[1])) if len(focals) > 1 else None,
    )


def _colours(values: Any, processor: Any) -> np.ndarray:
    """Undo normalisation: RGB (H, W, 3), 0..255, of what the vision tower receives (3, H, W)."""
    ip = processor.image_processor
    pixels = values.float().numpy().transpose(1, 2, 0)
    if ip.do_normalize:
        pixels = pixels * np.array(ip.image_std) + np.array(ip.image_mean)
    return pixels * 255


def _around(x: float, y: float) -> tuple[slice, slice]:
    return slice(int(y) - 4, int(y) + 5), slice(int(x) - 4, int(x) + 5)


def _focals(coding_x: np.ndarray, coding_y: np.ndarray) -> np.ndarray:
    """Return fx, fy in the model's pixels, from two points far apart."""
    height, width, _ = coding_x.shape
    near, far = (int(width * 0.1), int(height * 0.1)), (int(width * 0.9), int(height * 0.9))
    at = [
        [positions(image[_around(*point)], axis).mean() for point in (near, far)]
        for axis, image in enumerate((coding_x, coding_y))
    ]
    return np.subtract(far, near) / np.subtract(*np.transpose(at)[::-1]) * [SOURCE.fx, SOURCE.fy]


def _mark_error(
    coding_x: np.ndarray, coding_y: np.ndarray, label: np.ndarray, focals: np.ndarray
) -> float:
    """Return how far the pixel that the arrow points at lies from the labelled point, model pixels.

    The source coordinates are read from unpainted pixels just right of it.
    """
    red = (coding_x[..., 0] > 240) & (coding_x[..., 1:] < 15).all(axis=-1)
    if not red.any():  # blurred
        return math.nan
    rows, columns = np.nonzero(red)
    x, y = columns.max() + 1, (rows.min() + rows.max()) // 2
    beside = _around(x + 6, y)
    shown = [positions(coding_x[beside], 0).mean(), positions(coding_y[beside], 1).mean()]
    per_pixel = np.array([SOURCE.fx, SOURCE.fy]) / focals
    pointed = shown - per_pixel * [6, 0]
    return float(np.abs((pointed - label) / per_pixel).max())
