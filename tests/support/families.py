"""Every model family through the real thing: does its image processor keep the focal length?

A picture whose colours say where each pixel lies goes as a View through LLaMA-Factory's own plugin
into the family's own image processor of transformers; its patching is undone, and focal lengths and
the marked point are measured in the pixels that the vision tower receives.

    PYTHONPATH=tests python -m support.families > depthlm_plugin/host/processors/FAMILIES.md
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from PIL import Image

from depthlm_plugin import Camera, View
from depthlm_plugin.errors import HostError
from depthlm_plugin.host.processors.grid import Grid, grid_of
from depthlm_plugin.views.view import Mark

SOURCE = Camera(fx=560.0, fy=540.0, cx=322.0, cy=237.5, size_wh=(640, 480))
PERIOD = 32  # source pixels after which the fine code of a position repeats
SEVERAL_TILES = 10_000_000  # image_max_pixels: none of the views is to be shrunk by LLaMA-Factory


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
class Family:
    """A supported family: its published image settings, and how to undo its patching."""

    name: str
    templates: tuple[str, ...]
    image_processor: str  # class of transformers
    undo: Callable[[Any, Any], list[Any]]
    settings: dict[str, Any] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)  # of the processor around it

    def processor(self, suffix: str = "", **changes: Any) -> SimpleNamespace:
        """Return what LLaMA-Factory's plugin takes for the model's processor."""
        import transformers

        image_processor = getattr(transformers, self.image_processor + suffix)
        return SimpleNamespace(
            image_processor=image_processor(**(self.settings | changes)),
            image_max_pixels=SEVERAL_TILES,
            image_min_pixels=32 * 32,
            image_do_pan_and_scan=False,
            crop_to_patches=False,
            **self.attributes,
        )

    @property
    def plugin(self) -> Any:
        """The plugin of its (first) template in LLaMA-Factory."""
        from llamafactory.data.template import TEMPLATES

        return TEMPLATES[self.templates[0]].mm_plugin


CLIP = {
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
}
IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
HALF = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
PINPOINTS = [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]]
GRANITE_PINPOINTS = [
    [384 * rows, 384 * columns]
    for rows, columns in [(1, n) for n in range(2, 11)]
    + [(2, n) for n in range(1, 6)]
    + [(3, n) for n in range(1, 4)]
    + [(n, m) for n in (4, 5) for m in (1, 2)]
    + [(n, 1) for n in range(6, 11)]
]


def edge(pixels: int, **more: Any) -> dict[str, Any]:
    return {"size": {"height": pixels, "width": pixels}, **more}


def cropped(pixels: int, **more: Any) -> dict[str, Any]:
    crop = {"height": pixels, "width": pixels}
    return {"size": {"shortest_edge": pixels}, "crop_size": crop, **more}


def area(smallest: int, largest: int, **more: Any) -> dict[str, Any]:
    return {"size": {"shortest_edge": smallest, "longest_edge": largest}, **more}


QWEN = area(56 * 56, 28 * 28 * 16384, patch_size=14, **CLIP)
QWEN3 = area(256 * 256, 4096 * 4096, patch_size=16, **HALF)
FAMILIES = [
    Family(
        "Qwen2-VL, Qwen2.5-VL, MiMo-VL, dots.ocr",
        ("qwen2_vl", "mimo_vl", "dots_ocr"),
        "Qwen2VLImageProcessor",
        patches,
        QWEN,
    ),
    Family(
        "Qwen3-VL, Qwen3.5, Qwen3.6",
        ("qwen3_vl", "qwen3_vl_nothink", "qwen3_5", "qwen3_5_nothink", "qwen3_6"),
        "Qwen2VLImageProcessor",
        patches,
        QWEN3,
    ),
    Family("Qwen2.5-Omni", ("qwen2_omni",), "Qwen2VLImageProcessor", patches, QWEN),
    Family(
        "Qwen3-Omni",
        ("qwen3_omni", "qwen3_omni_nothink"),
        "Qwen2VLImageProcessor",
        patches,
        area(56 * 56, 28 * 28 * 16384, patch_size=16, **HALF),
    ),
    Family(
        "GLM-4.1V, GLM-4.5V",
        ("glm4v", "glm4_5v"),
        "Glm4vImageProcessor",
        patches,
        area(112 * 112, 28 * 28 * 15000, **CLIP),
    ),
    Family(
        "GLM-4.6V, GLM-OCR",
        ("glm4v", "glm_ocr"),
        "Glm46VImageProcessor",
        patches,
        area(112 * 112, 28 * 28 * 15000, **CLIP),
    ),
    Family(
        "ERNIE-4.5-VL",
        ("ernie_vl",),
        "Ernie4_5_VLMoeImageProcessor",
        patches,
        area(56 * 56, 28 * 28 * 6177, **CLIP),
    ),
    Family(
        "Pixtral",
        ("pixtral",),
        "PixtralImageProcessor",
        sized,
        {"size": {"longest_edge": 1024}, "patch_size": {"height": 16, "width": 16}},
    ),
    Family(
        "Mistral Small 3.1, Ministral 3",
        ("mistral_small", "ministral3"),
        "PixtralImageProcessor",
        sized,
        {"size": {"longest_edge": 1540}, "patch_size": {"height": 14, "width": 14}},
        {"spatial_merge_size": 2},
    ),
    Family("LFM2-VL", ("lfm2_vl",), "Lfm2VlImageProcessor", masked),
    Family("Gemma 3", ("gemma3",), "Gemma3ImageProcessor", whole, edge(896, **HALF)),
    Family(
        "Gemma 3n",
        ("gemma3n",),
        "SiglipImageProcessor",
        whole,
        edge(768, do_normalize=False, **HALF),
    ),
    Family("Gemma 4", ("gemma4", "gemma4n"), "Gemma4ImageProcessor", soft_tokens),
    Family(
        "PaliGemma 448",
        ("paligemma", "paligemma_chat"),
        "SiglipImageProcessor",
        whole,
        edge(448, **HALF),
    ),
    Family(
        "InternVL 3, Intern-S1",
        ("intern_vl", "intern_s1"),
        "GotOcr2ImageProcessor",
        whole,
        edge(448, crop_to_patches=False, **IMAGENET),
    ),
    Family("LLaVA-1.5", ("llava",), "CLIPImageProcessor", whole, cropped(336, **CLIP)),
    Family("LLaVA-1.5 (own class)", ("llava",), "LlavaImageProcessor", whole, cropped(336, **CLIP)),
    Family("Yi-VL", ("yi_vl",), "CLIPImageProcessor", whole, cropped(448, **CLIP)),
    Family(
        "LLaVA-NeXT, LLaVA-NeXT-Video",
        (
            "llava_next",
            "llava_next_llama3",
            "llava_next_mistral",
            "llava_next_qwen",
            "llava_next_yi",
            "llava_next_video",
            "llava_next_video_mistral",
            "llava_next_video_yi",
        ),
        "LlavaNextImageProcessor",
        overview_first,
        cropped(336, image_grid_pinpoints=PINPOINTS, **CLIP),
    ),
    Family(
        "Granite Vision 3",
        ("granite3_vision",),
        "LlavaNextImageProcessor",
        overview_first,
        edge(
            384,
            crop_size={"height": 384, "width": 384},
            image_grid_pinpoints=GRANITE_PINPOINTS,
            **HALF,
        ),
    ),
    Family(
        "Video-LLaVA", ("video_llava",), "VideoLlavaImageProcessor", whole, cropped(224, **CLIP)
    ),
    Family("Llama 3.2 Vision", ("mllama",), "MllamaImageProcessor", tiles, edge(560, **CLIP)),
    Family("Llama 4", ("llama4",), "Llama4ImageProcessor", overview_last, edge(336, **HALF)),
]

# Class names of code that comes with a model are stand-ins for it: that code is not installed here.
REFUSED = [
    ("Idefics 3", (), "Idefics3ImageProcessor"),
    ("SmolVLM", (), "SmolVLMImageProcessor"),
    ("MiniCPM-V 4.6", ("minicpm_v_4_6",), "MiniCPMV4_6ImageProcessor"),
    ("MiniCPM-V, MiniCPM-o", ("minicpm_v", "minicpm_o"), "MiniCPMVImageProcessor"),
    ("Kimi-VL", ("kimi_vl",), "KimiVLImageProcessor"),
    ("Keye-VL", ("keye_vl",), "SiglipImageProcessor"),
    ("Youtu-VL", ("youtu_vl",), "Siglip2ImageProcessorFast"),
]


def refused_processor(image_processor: str) -> SimpleNamespace:
    """Return a processor of a refused family: its own class or a stand-in."""
    import transformers

    cls = getattr(transformers, image_processor, None)
    if cls is None or not image_processor.startswith(("Idefics", "SmolVLM")):
        cls = type(image_processor, (), {"__module__": "transformers_modules.of_the_model"})
    return SimpleNamespace(image_processor=cls())


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


def measure(family: Family, folder: Path, size_wh: tuple[int, int] | None = None) -> Measured:
    """Return the measurements of a view of `size_wh`, by default the size that the grid asks for.

    Two views of one plan are sent, with the picture that codes x and with the one that codes y.
    """
    processor = family.processor()
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
        inputs = family.plugin._get_mm_inputs([view.to_uri()], [], [], processor)
        images.append([_colours(seen, processor) for seen in family.undo(inputs, processor)])
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


def rule(grid: Grid) -> str:
    """Return the sizes of a grid in words."""
    if grid.fixed_wh:
        return "exactly {}x{}".format(*grid.fixed_wh)
    words = f"multiples of {grid.multiple}"
    if grid.max_pixels:
        return f"{words}, {grid.min_pixels} to {grid.max_pixels} pixels"
    return f"{words}, no side above {grid.max_edge}"


def table(folder: Path) -> str:
    """Return the measured table of all families, as Markdown."""
    lines = [
        "# Which model families keep one focal length",
        "",
        "Generated by `PYTHONPATH=tests python -m support.families`, with transformers 5.6 and "
        "LLaMA-Factory 0.9.5; a test compares. A picture whose colours say where each pixel "
        "lies is sent as a view through LLaMA-Factory's plugin and the family's real image "
        "processor, with its published settings; the errors are those in the pixels that reach "
        "the vision tower. The marked point is one near a pixel centre of the view; elsewhere "
        "rounding adds up to 0.5 px. Sizes are width x height, for these settings: "
        "`families.py` reads those of the loaded model. Before a run, `proof.prove` repeats the "
        "test in short on the loaded processor.",
        "",
        "| family | LLaMA-Factory templates | image processor | view sizes | fx error % |"
        " fy error % | mark error px | status |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for family in FAMILIES:
        found = measure(family, folder)
        status = "supported"
        if found.overview:
            over_x, over_y = (1 / ratio for ratio in found.overview)
            status = f"supported; plus an overview, fx / {over_x:.2f} and fy / {over_y:.2f}"
        numbers = (
            f"{found.fx_error:.2f} | {found.fy_error:.2f} | {found.mark_error_px:.1f} | {status}"
        )
        names = ", ".join(f"`{name}`" for name in family.templates)
        grid = grid_of(family.processor())
        lines.append(f"| {family.name} | {names} | {grid.name} | {rule(grid)} | {numbers} |")
    for name, templates, image_processor in REFUSED:
        names = ", ".join(f"`{name}`" for name in templates) or "none"
        lines.append(
            f"| {name} | {names} | {image_processor} | | | | |"
            f" refused: {refusal(image_processor)} |"
        )
    return "\n".join(lines) + "\n"


def refusal(image_processor: str) -> str:
    """Return the reason that `grid_of` gives."""
    try:
        grid_of(refused_processor(image_processor))
    except HostError as error:
        return str(error).partition("and so metres: ")[2]
    raise AssertionError(f"{image_processor} was not refused")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        print(table(Path(scratch)), end="")
