"""What recipes say about each family of base VLMs: its template, and what part of a scene it sees.

The sizes of views are those of `host/processors/families/`, with the published image settings; a
test compares both, and the image tokens with those that LLaMA-Factory makes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Family:
    """Base VLMs with one chat template and one kind of view.

    Attributes:
        name: In the names of recipes, `depthlm_NAME_eval`.
        title: Of its models, as a reader knows them.
        template: LLaMA-Factory's chat template.
        model_types: transformers' `model_type` of its configs.
        patch_px: Side of a patch of the vision tower.
        multiple: Sides of views are multiples of it, pixels; of families without a fixed size.
        focal_px: Focal length of its recipes, pixels.
        crop_height: Smallest and largest height of a training view, pixels.
        crop_width: Likewise.
        why: Comments on `focal_px`, `crop_height` and `crop_width`; empty where the paper's.
        fixed_wh: The one size of its views (width, height), pixels, or None.
        fixed_tokens: Image tokens of that one view in the text.
        overview: Whether the tower sees one tile more, the whole view in small.
        row_tokens: Whether every row of patches ends with a token of its own (Pixtral).
        all_logits: Whether its loss wants the logits of every token; else those of the answers do.
        merger: What lies between tower and language model, by its name there, to be trained whole
            beside adapters: `lora_target: all` leaves it frozen. Empty where LLaMA-Factory knows no
            parts of the model: `all` are all, and it freezes none.
        targets: Parts of the names of all its linear layers, the merger's included, for LoRA on
            4-bit weights, which cannot be trained whole; a layer of a frozen tower is left out by
            LLaMA-Factory. Empty where the merger has none, or is frozen no more than the rest.
        tower: Why LoRA cannot train the vision tower, lines; empty where it can.
        window: Patches of a window or tile within which its tower attends; 0: all attend to all.
        windowed: Share of the tower's layers that do so.
        eval_pixels: Largest view of evaluation, pixels.
        notes: Lines for the head of its recipes.
        eval_notes: Lines for the head of its evaluation.
    """

    name: str
    title: str
    template: str
    model_types: tuple[str, ...]
    patch_px: int
    multiple: int = 1
    focal_px: int = 1000
    crop_height: tuple[int, int] = (700, 1200)
    crop_width: tuple[int, int] = (1000, 1400)
    why: tuple[str, str, str] = ("", "", "")
    fixed_wh: tuple[int, int] | None = None
    fixed_tokens: int = 0
    overview: bool = False
    row_tokens: bool = False
    all_logits: bool = False
    merger: str = "multi_modal_projector"
    targets: str = ""
    tower: tuple[str, ...] = ()
    window: int = 0
    windowed: float = 0
    eval_pixels: int = 3_000_000
    notes: tuple[str, ...] = ()
    eval_notes: tuple[str, ...] = ()

    def image_tokens(self, size_wh: tuple[int, int]) -> int:
        """Return how many tokens the view of this size takes in the text."""
        if self.fixed_wh:
            return self.fixed_tokens
        columns, rows = (side // self.multiple for side in size_wh)
        return (columns + self.row_tokens) * rows

    def patches(self, size_wh: tuple[int, int]) -> int:
        """Return how many patches of the view of this size the vision tower sees."""
        width, height = self.fixed_wh or (side // self.multiple * self.multiple for side in size_wh)
        return width * height // self.patch_px**2 + (self.tile_patches if self.overview else 0)

    def trains_tower(self, method: str) -> bool:
        """Return whether its recipes of a method train the vision tower."""
        if method == "qlora":
            return not self.merger
        return method == "full" or not self.tower

    @property
    def limit_wh(self) -> tuple[int, int]:
        """Largest width and height of a training view, before patches are made whole; pixels."""
        return self.crop_width[1], self.crop_height[1]

    @property
    def largest_wh(self) -> tuple[int, int]:
        """Width and height of its largest view in training, pixels."""
        width, height = (side // self.multiple * self.multiple for side in self.limit_wh)
        return width, height

    @property
    def tile_patches(self) -> int:
        """Patches of one tile of 336 px, as overviews are."""
        return (336 // self.patch_px) ** 2


def _square(name: str, title: str, template: str, types: tuple[str, ...], patch_px: int,
            size_wh: tuple[int, int], tokens: int, **more: Any) -> Family:  # fmt: skip
    """Return a family whose views have one size, with the focal length that suits it.

    The paper's widest crop is 1.4 and its mean 1.2 focal lengths wide: so is this view, to 10 px.
    """
    focal_px = round(size_wh[0] / 12) * 10
    across, down = (round(2 * math.degrees(math.atan(side / 2 / focal_px))) for side in size_wh)
    why = f"the one view, {size_wh[0]} x {size_wh[1]} px, then spans {across} x {down} degrees"
    return Family(
        name, title, template, types, patch_px,
        focal_px=focal_px,
        crop_height=(size_wh[1], size_wh[1]), crop_width=(size_wh[0], size_wh[0]),
        why=(why, "", ""),
        fixed_wh=size_wh, fixed_tokens=tokens,
        eval_pixels=size_wh[0] * size_wh[1],
        eval_notes=(
            f"Pictures are cut or padded with black to {size_wh[0]} x {size_wh[1]} px, towards the"
            " point that is asked for.",
        ),
        **more,
    )  # fmt: skip


_BOTH = "q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj"
_TWO = "projector.linear_1,projector.linear_2"
QWEN2_5_VL = Family(
    "qwen", "Qwen2.5-VL", "qwen2_vl", ("qwen2_5_vl", "qwen2_vl"), 14, 28,
    merger="merger",
    targets=f"{_BOTH},qkv,attn.proj,mlp.fc1,mlp.fc2,merger.mlp.0,merger.mlp.2",
    window=64, windowed=7 / 8,
)  # fmt: skip
QWEN3_VL = Family(
    "qwen3vl", "Qwen3-VL", "qwen3_vl_nothink", ("qwen3_vl", "qwen3_vl_moe"), 16, 32,
    merger="merger",
    targets=f"{_BOTH},qkv,attn.proj,linear_fc1,linear_fc2",
)  # fmt: skip
QWEN3_5 = Family(
    "qwen3_5", "Qwen3.5", "qwen3_5_nothink", ("qwen3_5", "qwen3_5_moe"), 16, 32,
    merger="merger",
    targets=f"{_BOTH},in_proj,out_proj,qkv,attn.proj,linear_fc1,linear_fc2",
    notes=(
        "pip install flash-linear-attention causal-conv1d; without, its linear attention runs in"
        " plain PyTorch.",
    ),
)  # fmt: skip
PIXTRAL = Family(
    "pixtral", "Pixtral", "pixtral", ("llava/pixtral",), 16, 16,
    focal_px=750,
    crop_height=(525, 900),
    crop_width=(750, 1024),
    why=(
        "the paper's value for Pixtral-12B",
        "the paper's crop, scaled with the focal length ...",
        "... and cut to the longest edge that Pixtral sees without shrinking",
    ),
    row_tokens=True,
    targets=f"{_BOTH},{_TWO}",
    eval_pixels=1024 * 1024,
    eval_notes=(
        "A picture with a side over 1024 px at f = 750 is refused (KITTI, ETH3D, SUN RGB-D have"
        " some):",
        "train with a shorter depthlm.focal_px for them, such as 500.",
    ),
)  # fmt: skip
MISTRAL_SMALL = Family(
    "mistral_small", "Mistral Small 3.1 and 3.2", "mistral_small", ("mistral3",), 14, 28,
    row_tokens=True,
    targets=f"{_BOTH},{_TWO},merging_layer",
    eval_notes=("A picture with a side over 1540 px at f = 1000 is refused.",),
)  # fmt: skip
GLM_4V = Family(
    "glm4_1v", "GLM-4.1V", "glm4v", ("glm4v",), 14, 28,
    merger="merger",
    targets=f"{_BOTH},gate_up_proj,qkv,attn.proj,merger.proj",
)  # fmt: skip
LFM2_VL = Family(
    "lfm2vl", "LFM2-VL", "lfm2_vl", ("lfm2_vl",), 16, 32,
    focal_px=400,
    crop_height=(280, 480),
    crop_width=(400, 544),
    why=(
        "so short since what exceeds 262144 pixels becomes tiles",
        "the paper's crop, scaled with the focal length ...",
        "... and cut to 262144 pixels",
    ),
    merger="",
    eval_pixels=262_144,
    eval_notes=("A picture of more than 262144 pixels at f = 400 is refused.",),
)  # fmt: skip
INTERNVL = _square(
    "internvl", "InternVL 3 and 3.5", "intern_vl", ("internvl",), 14, (448, 448), 256,
    targets=f"{_BOTH},projection_layer,fc1,fc2,{_TWO}",
)  # fmt: skip
GEMMA3 = _square("gemma3", "Gemma 3", "gemma3", ("gemma3",), 14, (896, 896), 256, all_logits=True)
GEMMA4 = _square(
    "gemma4", "Gemma 4 E2B and E4B", "gemma4n", ("gemma4",), 16, (960, 672), 280,
    merger="embed_vision.embedding_projection",  # the module around it is called by keyword
    targets=f"{_BOTH},per_layer_input_gate,per_layer_projection,per_layer_model_projection,"
    "embed_vision.embedding_projection",
    tower=(
        "PEFT puts no adapters on this tower: its layers are",
        "Gemma4ClippableLinear, which it does not know.",
    ),
)  # fmt: skip
LLAVA_NEXT = _square(
    "llava_next", "LLaVA-NeXT (Mistral)", "llava_next_mistral", ("llava_next",), 14,
    (672, 672), 2928, overview=True, window=577, windowed=1,
    targets=f"{_BOTH},out_proj,fc1,fc2,{_TWO}",
)  # fmt: skip
LLAMA3_2 = _square(
    "llama3_2", "Llama 3.2 Vision", "mllama", ("mllama",), 14, (1120, 1120), 1,
    targets=f"{_BOTH},fc1,fc2,multi_modal_projector",
)  # fmt: skip
_LLAMA4 = _square(
    "llama4", "Llama 4", "llama4", ("llama4",), 14, (1008, 1008), 1452,
    overview=True, all_logits=True, window=577, windowed=1,
    targets=f"{_BOTH},fc1,fc2,patch_embedding.linear,projector.linear_1",
)  # fmt: skip
LLAMA4 = replace(
    _LLAMA4,
    eval_notes=(
        *_LLAMA4.eval_notes,
        "LLaMA-Factory generates with all weights on each GPU, never with ZeRO-3: where they do not"
        " fit, ask a",
        "served model (depthlm harness).",
    ),
)

FAMILIES = (
    QWEN2_5_VL, QWEN3_VL, QWEN3_5, PIXTRAL, MISTRAL_SMALL, INTERNVL, GEMMA3, GEMMA4, GLM_4V,
    LFM2_VL, LLAVA_NEXT, LLAMA3_2, LLAMA4,
)  # fmt: skip

_REMOTE_CODE = (
    "its image code comes with the model, not with transformers, and nobody has checked it"
)
REFUSED = {
    "kimi": _REMOTE_CODE,
    "minicpm": _REMOTE_CODE,
    "keye": _REMOTE_CODE,
    "youtu": _REMOTE_CODE,
}
"""Part of a base's name, in lower case -> why there is no recipe for it."""
