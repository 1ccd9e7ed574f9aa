"""Which sizes the image processor of each model family leaves alone, and who is refused, and why.

Read in transformers 5.6 and LLaMA-Factory 0.9.5, and measured on the real processors: FAMILIES.md,
beside this file, is the generated table. Sizes come from the loaded processor, never from here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...errors import HostError


@dataclass(frozen=True)
class Grid:
    """The sizes that an image processor leaves alone.

    Attributes:
        name: Class name of the image processor.
        multiple: Patch size x merge size, pixels: both sides must be multiples of it.
        min_pixels: Smallest area, pixels.
        max_pixels: Largest area, pixels, or None where the area is not limited.
        max_edge: Longest side, pixels, or None where only the area is limited.
        fixed_wh: The only size (width, height) that it leaves alone, pixels; None where sizes vary.
    """

    name: str
    multiple: int
    min_pixels: int
    max_pixels: int | None
    max_edge: int | None = None
    fixed_wh: tuple[int, int] | None = None

    def problem(self, size_wh: tuple[int, int]) -> str | None:
        """Return why the processor would resample an image of this size, or None."""
        width, height = size_wh
        if self.fixed_wh:
            fixed_w, fixed_h = self.fixed_wh
            if size_wh == self.fixed_wh:
                return None
            return f"is not the {fixed_w}x{fixed_h} px that {self.name} accepts"
        if width % self.multiple or height % self.multiple:
            return f"is not a multiple of {self.multiple} px"
        if self.max_edge and max(size_wh) > self.max_edge:
            return f"is longer than the {self.max_edge} px that {self.name} accepts"
        if self.max_pixels and width * height > self.max_pixels:
            return f"has more than the {self.max_pixels} pixels that {self.name} accepts"
        if width * height < self.min_pixels:
            return f"has fewer than the {self.min_pixels} pixels that {self.name} enlarges to"
        return None


def refusal(name: str, reason: str) -> HostError:
    """Return the error that refuses this image processor."""
    return HostError(
        f"image processor {name} cannot be trusted to keep one focal length, and so metres:"
        f" {reason}"
    )


def _fixed(name: str, size_wh: tuple[int, int]) -> Grid:
    return Grid(name, 1, size_wh[0] * size_wh[1], size_wh[0] * size_wh[1], None, size_wh)


def _smart_resize(name: str, image_processor: Any, processor: Any) -> Grid:
    """Both sides are rounded to patch x merge; an area outside the limits is scaled into them."""
    size = image_processor.size
    multiple = image_processor.patch_size * image_processor.merge_size
    return Grid(name, multiple, size["shortest_edge"], size["longest_edge"])


def _glm(name: str, image_processor: Any, processor: Any) -> Grid:
    """As `_smart_resize`, but the limits count the frames that a still image is repeated to."""
    grid = _smart_resize(name, image_processor, processor)
    frames, largest = image_processor.temporal_patch_size, image_processor.size["longest_edge"]
    return Grid(name, grid.multiple, -(-grid.min_pixels // frames), largest // frames)


def _pixtral(name: str, image_processor: Any, processor: Any) -> Grid:
    """Sides are rounded up to patches; above the longest edge the image shrinks.

    The smaller images of a batch are padded on the right and below, and the model is told the
    sizes. Merged patches (Mistral Small 3.1, Ministral 3) must come out whole too.
    """
    patch, size = image_processor.patch_size, image_processor.size
    side = patch["height"] if not isinstance(patch, int) else patch
    multiple = side * getattr(processor, "spatial_merge_size", 1)
    longest = size.get("longest_edge") or min(size["height"], size["width"])
    # The vision tower has no positions beyond this edge either.
    return Grid(name, multiple, multiple * multiple, None, longest)


def _lfm2(name: str, image_processor: Any, processor: Any) -> Grid:
    """Sides are rounded to patch x downsampling; the area is scaled into the token limits.

    Larger images may become tiles and a thumbnail, but LLaMA-Factory counts the tokens of one
    picture an image, so a view must stay within one picture's limit.
    """
    multiple = image_processor.encoder_patch_size * image_processor.downsample_factor
    smallest, largest = image_processor.min_image_tokens, image_processor.max_image_tokens
    return Grid(name, multiple, smallest * multiple**2, largest * multiple**2)


def _resized(name: str, image_processor: Any, processor: Any) -> Grid:
    """One fixed size: the image is resized to it, or to its shortest edge and centre-cropped."""
    size = image_processor.size
    shortest = size.get("shortest_edge")
    size_wh = (size.get("width") or shortest, size.get("height") or shortest)
    if getattr(image_processor, "do_center_crop", False):
        crop = image_processor.crop_size
        crop_wh = (crop["width"], crop["height"])
        if crop_wh != size_wh:
            raise refusal(
                name,
                "it resizes to {}x{} and then crops to {}x{}, which would cut marks away;"
                " give `size` and `crop_size` one value in preprocessor_config.json".format(
                    *size_wh, *crop_wh
                ),
            )
    return _fixed(name, size_wh)


def _gemma3(name: str, image_processor: Any, processor: Any) -> Grid:
    """Resized to one square; pan-and-scan would add crops that are enlarged."""
    if getattr(processor, "image_do_pan_and_scan", False):
        raise refusal(name, "pan-and-scan resizes crops; set image_do_pan_and_scan: false")
    if image_processor.do_pan_and_scan:
        raise refusal(
            name, "pan-and-scan resizes crops; set do_pan_and_scan: false in its configuration"
        )
    return _resized(name, image_processor, processor)


def _gemma4(name: str, image_processor: Any, processor: Any) -> Grid:
    """Every image is scaled up or down to fill a budget of patches: one size of exactly that area.

    Of the sizes that fill it, the one nearest to 4:3 is taken (960x672 for 280 tokens).
    """
    tokens = image_processor.max_soft_tokens
    side = image_processor.patch_size * image_processor.pooling_kernel_size
    columns = min(
        (count for count in range(1, tokens + 1) if tokens % count == 0),
        key=lambda count: abs(math.log(count * count / tokens * 3 / 4)),
    )
    return _fixed(name, (columns * side, tokens // columns * side))


def _got_ocr2(name: str, image_processor: Any, processor: Any) -> Grid:
    """Resized to one square; `crop_to_patches` would make tiles of a size chosen per image."""
    if getattr(processor, "crop_to_patches", False):
        raise refusal(name, "tiles are resized images; set crop_to_patches: false")
    if image_processor.crop_to_patches:
        raise refusal(
            name, "tiles are resized images; set crop_to_patches: false in its configuration"
        )
    return _resized(name, image_processor, processor)


def _llava_next(name: str, image_processor: Any, processor: Any) -> Grid:
    """Scaled into the best of a list of canvases, cut into tiles, preceded by a squashed overview.

    A square canvas of two by two tiles is left alone: the tiles hold the view as it is, and the
    overview the same view at exactly half the focal length, in every sample alike.
    """
    tile, _ = _resized(name, image_processor, processor).fixed_wh or (0, 0)
    canvas = 2 * tile
    if [canvas, canvas] not in [
        list(pinpoint) for pinpoint in image_processor.image_grid_pinpoints
    ]:
        raise refusal(
            name,
            f"its image_grid_pinpoints hold no {canvas}x{canvas}, the one canvas whose overview"
            " keeps fx = fy; add it in preprocessor_config.json",
        )
    return _fixed(name, (canvas, canvas))


def _mllama(name: str, image_processor: Any, processor: Any) -> Grid:
    """Scaled into the smallest canvas of tiles that holds the image, and padded; no overview.

    The largest square canvas is left alone (two by two tiles of the published four).
    """
    side = math.isqrt(image_processor.max_image_tiles) * image_processor.size["height"]
    return _fixed(name, (side, side))


def _llama4(name: str, image_processor: Any, processor: Any) -> Grid:
    """Fitted into a canvas of tiles, and padded; an overview follows when there are several tiles.

    A square canvas is left alone, and the overview shows it at exactly 1 / tiles a side of the
    focal length, in every sample alike. Values are computed in bfloat16: to one grey level.
    """
    if image_processor.resize_to_max_canvas:
        raise refusal(
            name, "it enlarges every image; set resize_to_max_canvas: false in its configuration"
        )
    # Three tiles (1008 px) are nearest to the published crops of 700-1200 x 1000-1400 px.
    side = min(3, math.isqrt(image_processor.max_patches)) * image_processor.size["height"]
    return _fixed(name, (side, side))


# Class names as in `grids.family_of`.
FAMILIES: dict[str, Callable[[str, Any, Any], Grid]] = {
    "Qwen2VLImageProcessor": _smart_resize,
    "Ernie4_5_VLMoeImageProcessor": _smart_resize,
    "Ernie4_5_VL_MoeImageProcessor": _smart_resize,  # its older name
    "Glm4vImageProcessor": _glm,
    "Glm46VImageProcessor": _glm,
    "PixtralImageProcessor": _pixtral,
    "Lfm2VlImageProcessor": _lfm2,
    "Gemma3ImageProcessor": _gemma3,
    "Gemma4ImageProcessor": _gemma4,
    "SiglipImageProcessor": _resized,
    "CLIPImageProcessor": _resized,
    "LlavaImageProcessor": _resized,
    "VideoLlavaImageProcessor": _resized,
    "GotOcr2ImageProcessor": _got_ocr2,
    "LlavaNextImageProcessor": _llava_next,
    "MllamaImageProcessor": _mllama,
    "Llama4ImageProcessor": _llama4,
}

_NO_TEMPLATE = "LLaMA-Factory 0.9.5 has no template for its models"
REFUSED = {
    "Idefics2ImageProcessor": _NO_TEMPLATE,
    "Idefics3ImageProcessor": _NO_TEMPLATE,
    "SmolVLMImageProcessor": _NO_TEMPLATE,
    "LlavaOnevisionImageProcessor": _NO_TEMPLATE,
    "MiniCPMV4_6ImageProcessor": (
        "LLaMA-Factory 0.9.5 hands it image references that were never opened, so a view could"
        " not be rendered"
    ),
}
