"""The supported base VLMs, one entry each, with what tests know of them; and the measured table.

PYTHONPATH=tests python -m support.families > depthlm_plugin/host/processors/FAMILIES.md
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

from depthlm_plugin.errors import HostError
from depthlm_plugin.host.processors.grid import Grid
from depthlm_plugin.host.processors.registry import grid_of
from support.focal_lengths import (
    masked,
    measure,
    overview_first,
    overview_last,
    patches,
    sized,
    soft_tokens,
    tiles,
    whole,
)

SEVERAL_TILES = 10_000_000  # image_max_pixels: none of the views is to be shrunk by LLaMA-Factory


class Limit(NamedTuple):
    """Settings of an image processor, a size that they leave alone, and one that they do not."""

    settings: dict[str, Any]
    inside: tuple[int, int]
    outside: tuple[int, int]


class Resampling(NamedTuple):
    """Settings that would resample, or an attribute of the processor; and what the refusal says."""

    message: str
    settings: dict[str, Any] = {}  # noqa: RUF012 - nobody changes it
    attribute: str | None = None


@dataclass(frozen=True)
class BaseVLM:
    """Base models with one image processor: its published settings, and how to undo its patching.

    Attributes:
        name: The models.
        templates: LLaMA-Factory's chat templates of them.
        image_processor: Its class in transformers.
        undo: (model inputs, processor) -> the pictures (3, H, W) that the vision tower receives:
            the view, and its overview if there is one.
        settings: Of the image processor, as published.
        attributes: Of the processor around it, which size rules read.
        around: Of the processor around it, which LLaMA-Factory's plugin reads when it counts.
        others: Sizes of views that it would resample.
        limits: Limits that follow from settings.
        resampling: What makes it resample and must be refused.
        types: Those of its models' `model_type` that `test_training_families.py` trains.
        trains: With what LoRA trains, where the shipped recipes' way is not enough.
    """

    name: str
    templates: tuple[str, ...]
    image_processor: str
    undo: Callable[[Any, Any], list[Any]]
    settings: dict[str, Any] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    around: dict[str, Any] = field(default_factory=dict)
    others: tuple[tuple[int, int], ...] = ()
    limits: tuple[Limit, ...] = ()
    resampling: tuple[Resampling, ...] = ()
    types: tuple[str, ...] = ()
    trains: str = ""

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


PIXTRAL_AROUND = {"patch_size": 16, "image_break_token": "[IMG_BREAK]", "image_end_token": "[E]"}
LLAVA_AROUND = {
    "patch_size": 14,
    "num_additional_image_tokens": 1,
    "vision_feature_select_strategy": "default",
}
QWEN = area(56 * 56, 28 * 28 * 16384, patch_size=14, **CLIP)
QWEN3 = area(256 * 256, 4096 * 4096, patch_size=16, **HALF)
BASE_VLMS = [
    BaseVLM(
        "Qwen2-VL, Qwen2.5-VL, MiMo-VL, dots.ocr",
        ("qwen2_vl", "mimo_vl", "dots_ocr"),
        "Qwen2VLImageProcessor",
        patches,
        QWEN,
        others=((1001, 713),),
        limits=(
            Limit(area(56 * 56, 28 * 28 * 10), (280, 28), (308, 28)),
            Limit(area(56 * 56, 28 * 28 * 10), (112, 28), (84, 28)),
        ),
        types=("qwen2_vl", "qwen2_5_vl"),
    ),
    BaseVLM(
        "Qwen3-VL, Qwen3.5, Qwen3.6",
        ("qwen3_vl", "qwen3_vl_nothink", "qwen3_5", "qwen3_5_nothink", "qwen3_6"),
        "Qwen2VLImageProcessor",
        patches,
        QWEN3,
        types=("qwen3_vl", "qwen3_vl_moe", "qwen3_5"),
    ),
    BaseVLM("Qwen2.5-Omni", ("qwen2_omni",), "Qwen2VLImageProcessor", patches, QWEN),
    BaseVLM(
        "Qwen3-Omni",
        ("qwen3_omni", "qwen3_omni_nothink"),
        "Qwen2VLImageProcessor",
        patches,
        area(56 * 56, 28 * 28 * 16384, patch_size=16, **HALF),
    ),
    BaseVLM(
        "GLM-4.1V, GLM-4.5V",
        ("glm4v", "glm4_5v"),
        "Glm4vImageProcessor",
        patches,
        area(112 * 112, 28 * 28 * 15000, **CLIP),
        others=((600, 400),),
        limits=(Limit(area(112 * 112, 28 * 28 * 40), (280, 56), (308, 56)),),
        types=("glm4v", "glm4v_moe"),
    ),
    BaseVLM(
        "GLM-4.6V, GLM-OCR",
        ("glm4v", "glm_ocr"),
        "Glm46VImageProcessor",
        patches,
        area(112 * 112, 28 * 28 * 15000, **CLIP),
        limits=(Limit(area(112 * 112, 28 * 28 * 40), (112, 56), (84, 56)),),
    ),
    BaseVLM(
        "ERNIE-4.5-VL",
        ("ernie_vl",),
        "Ernie4_5_VLMoeImageProcessor",
        patches,
        area(56 * 56, 28 * 28 * 6177, **CLIP),
        others=((600, 400),),
        limits=(Limit(area(56 * 56, 28 * 28 * 10), (140, 56), (140, 84)),),
        types=("ernie4_5_vl_moe",),
        trains="with `lora_target` as a list: `all` names layers that PEFT cannot adapt",
    ),
    BaseVLM(
        "Pixtral",
        ("pixtral",),
        "PixtralImageProcessor",
        sized,
        {"size": {"longest_edge": 1024}, "patch_size": {"height": 16, "width": 16}},
        around=PIXTRAL_AROUND,
        others=((1040, 512),),
        limits=(Limit({"size": {"longest_edge": 160}}, (160, 16), (176, 16)),),
        types=("llava",),
    ),
    BaseVLM(
        "Mistral Small 3.1, Ministral 3",
        ("mistral_small", "ministral3"),
        "PixtralImageProcessor",
        sized,
        {"size": {"longest_edge": 1540}, "patch_size": {"height": 14, "width": 14}},
        {"spatial_merge_size": 2},
        PIXTRAL_AROUND,
        types=("mistral3",),
    ),
    BaseVLM(
        "LFM2-VL",
        ("lfm2_vl",),
        "Lfm2VlImageProcessor",
        masked,
        others=((1024, 1024),),  # four tiles and a thumbnail
        limits=(
            Limit({"max_image_tokens": 80}, (320, 256), (320, 288)),
            Limit({}, (256, 256), (256, 224)),
        ),
        types=("lfm2_vl",),
    ),
    BaseVLM(
        "Gemma 3",
        ("gemma3",),
        "Gemma3ImageProcessor",
        whole,
        edge(896, **HALF),
        around={"boi_token": "<boi>", "full_image_sequence": "<boi>" + "<i>" * 256},
        others=((640, 480), (1792, 448)),  # the second: as many pixels as it makes of it
        resampling=(
            Resampling("set image_do_pan_and_scan: false", attribute="image_do_pan_and_scan"),
            Resampling("set do_pan_and_scan: false", {"do_pan_and_scan": True}),
        ),
        types=("gemma3",),
    ),
    BaseVLM(
        "Gemma 3n",
        ("gemma3n",),
        "SiglipImageProcessor",
        whole,
        edge(768, do_normalize=False, **HALF),
        around={
            "boi_token": "<boi>",
            "boa_token": "<boa>",
            "full_image_sequence": "<boi>" + "<i>" * 256,
            "full_audio_sequence": "<boa>",
        },
    ),
    BaseVLM(
        "Gemma 4",
        ("gemma4", "gemma4n"),
        "Gemma4ImageProcessor",
        soft_tokens,
        around={f"{kind}_token": kind for kind in ("boi", "eoi", "boa", "eoa", "video", "audio")}
        | {"image_token": "<i>"},
        others=((672, 480),),
        types=("gemma4",),
    ),
    BaseVLM(
        "PaliGemma 448",
        ("paligemma", "paligemma_chat"),
        "SiglipImageProcessor",
        whole,
        edge(448, **HALF),
        around={"image_seq_length": 1024},
        others=((476, 448),),
        types=("paligemma",),
    ),
    BaseVLM(
        "InternVL 3, Intern-S1",
        ("intern_vl", "intern_s1"),
        "GotOcr2ImageProcessor",
        whole,
        edge(448, crop_to_patches=False, **IMAGENET),
        around={"image_seq_length": 256},
        others=((896, 896),),
        resampling=(
            Resampling("set crop_to_patches: false", attribute="crop_to_patches"),
            Resampling("set crop_to_patches: false in its", {"crop_to_patches": True}),
        ),
        types=("internvl",),
    ),
    BaseVLM(
        "LLaVA-1.5",
        ("llava",),
        "CLIPImageProcessor",
        whole,
        cropped(336, **CLIP),
        around=LLAVA_AROUND,
        others=((448, 336),),
        resampling=(
            Resampling(
                "resizes to 256x256 and then crops to 224x224",
                cropped(224, **CLIP) | {"size": {"shortest_edge": 256}},
            ),
        ),
    ),
    BaseVLM(
        "LLaVA-1.5 (own class)",
        ("llava",),
        "LlavaImageProcessor",
        whole,
        cropped(336, **CLIP),
        around=LLAVA_AROUND,
    ),
    BaseVLM(
        "Yi-VL",
        ("yi_vl",),
        "CLIPImageProcessor",
        whole,
        cropped(448, **CLIP),
        around=LLAVA_AROUND,
    ),
    BaseVLM(
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
        around=LLAVA_AROUND,
        others=((640, 480),),
        resampling=(Resampling("hold no 672x672", {"image_grid_pinpoints": [[336, 672]]}),),
        types=("llava_next", "llava_next_video"),
    ),
    BaseVLM(
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
        around=LLAVA_AROUND,
    ),
    BaseVLM(
        "Video-LLaVA",
        ("video_llava",),
        "VideoLlavaImageProcessor",
        whole,
        cropped(224, **CLIP),
        around=LLAVA_AROUND,
        others=((256, 224),),
        types=("video_llava",),
    ),
    BaseVLM(
        "Llama 3.2 Vision",
        ("mllama",),
        "MllamaImageProcessor",
        tiles,
        edge(560, **CLIP),
        others=((1000, 1120),),
        types=("mllama",),
    ),
    BaseVLM(
        "Llama 4",
        ("llama4",),
        "Llama4ImageProcessor",
        overview_last,
        edge(336, **HALF),
        around={"patch_size": 14, "downsample_ratio": 4, "image_token": "<|image|>"}
        | {f"{name}_token": name for name in ("start_of_img", "end_of_img", "tile", "tile_global")}
        | {"img_patch_token": "<|patch|>"},
        others=((1000, 1000),),
        resampling=(Resampling("set resize_to_max_canvas: false", {"resize_to_max_canvas": True}),),
        types=("llama4",),
    ),
]


class RefusedVLM(NamedTuple):
    """Base models that are refused, and words of the reason.

    Class names of code that comes with a model are stand-ins for it: that code is not installed.
    """

    name: str
    templates: tuple[str, ...]
    image_processor: str
    reason: str = "comes with the model"

    def processor(self) -> SimpleNamespace:
        """Return a processor around its own class or a stand-in."""
        import transformers

        cls = getattr(transformers, self.image_processor, None)
        if cls is None or self.reason == "comes with the model":
            cls = type(self.image_processor, (), {"__module__": "transformers_modules.the_model"})
        return SimpleNamespace(image_processor=cls())

    def refusal(self) -> str:
        """Return the reason that `grid_of` gives."""
        try:
            grid_of(self.processor())
        except HostError as error:
            return str(error).partition("and so metres: ")[2]
        raise AssertionError(f"{self.image_processor} was not refused")


REFUSED = [
    RefusedVLM("Idefics 3", (), "Idefics3ImageProcessor", "has no template"),
    RefusedVLM("SmolVLM", (), "SmolVLMImageProcessor", "has no template"),
    RefusedVLM("MiniCPM-V 4.6", ("minicpm_v_4_6",), "MiniCPMV4_6ImageProcessor", "never opened"),
    RefusedVLM("MiniCPM-V, MiniCPM-o", ("minicpm_v", "minicpm_o"), "MiniCPMVImageProcessor"),
    RefusedVLM("Kimi-VL", ("kimi_vl",), "KimiVLImageProcessor"),
    RefusedVLM("Keye-VL", ("keye_vl",), "SiglipImageProcessor"),
    RefusedVLM("Youtu-VL", ("youtu_vl",), "Siglip2ImageProcessorFast"),
]


def rule(grid: Grid) -> str:
    """Return the sizes of a grid in words."""
    if grid.fixed_wh:
        return "exactly {}x{}".format(*grid.fixed_wh)
    words = f"multiples of {grid.multiple}"
    if grid.max_pixels:
        return f"{words}, {grid.min_pixels} to {grid.max_pixels} pixels"
    return f"{words}, no side above {grid.max_edge}"


def ran(vlm: BaseVLM) -> str:
    """Return the cells `trains`, `evaluates` and `merges`."""
    if not vlm.types:
        return "not tried | not tried | not tried"
    kinds = ", ".join(f"`{kind}`" for kind in vlm.types)
    return f"{kinds}{vlm.trains and ' '}{vlm.trains} | yes | yes"


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
        "the files in `families/` read those of the loaded model. Before a run, `proof.prove` "
        "repeats the test in short on the loaded processor.",
        "",
        "The last columns: a tiny model with random weights of the family's real classes, with its "
        "real processor, is trained with LoRA from the shipped recipe (or, where the family has "
        "none, from Qwen2.5-VL's), evaluated in metres, merged and evaluated again, with the same "
        "answers (`tests/host/test_training_families.py`; `PYTHONPATH=tests python -m "
        "support.families_run` does it with `llamafactory-cli`).",
        "",
        "| family | LLaMA-Factory templates | image processor | view sizes | fx error % |"
        " fy error % | mark error px | status | trains | evaluates | merges |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for vlm in BASE_VLMS:
        found = measure(vlm, folder)
        status = "supported"
        if found.overview:
            over_x, over_y = (1 / ratio for ratio in found.overview)
            status = f"supported; plus an overview, fx / {over_x:.2f} and fy / {over_y:.2f}"
        numbers = (
            f"{found.fx_error:.2f} | {found.fy_error:.2f} | {found.mark_error_px:.1f} | {status}"
        )
        names = ", ".join(f"`{name}`" for name in vlm.templates)
        grid = grid_of(vlm.processor())
        lines.append(
            f"| {vlm.name} | {names} | {grid.name} | {rule(grid)} | {numbers} | {ran(vlm)} |"
        )
    for refused in REFUSED:
        names = ", ".join(f"`{name}`" for name in refused.templates) or "none"
        status = f"refused: {refused.refusal()} | no | no | no"
        lines.append(f"| {refused.name} | {names} | {refused.image_processor} | | | | | {status} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        print(table(Path(scratch)), end="")
