"""Checks of what the model sees: its base and template, and whether views fit, whole and wide."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator

from ...errors import did_you_mean
from ..families import FAMILIES
from ..plan import TEXT_TOKENS
from .finding import Finding, error, left_out, warning
from .host_facts import template_names
from .settings import HOST_MAX_PIXELS, Settings

HOST_CUTOFF = 2048  # its cutoff_len
LEAST_TEXT = 50  # tokens of a question with its answer, at least
_ACROSS_DEG = (40, 100)  # of a scene; the paper's widest crop spans 70
_LONGEST_EDGE = {"pixtral": 1024, "mistral_small": 1540}  # longer ones are shrunk; pixels
_MOST_PIXELS = {"lfm2vl": 262_144}  # more becomes tiles
_LIMITED_BY_AREA = {"qwen", "qwen3vl", "qwen3_5", "glm4_1v"}


def base_is_known(recipe: Settings) -> Iterator[Finding]:
    """Yield that the base is refused, is none, or is one that nobody knows."""
    if not recipe.get("model_name_or_path"):
        yield error("model_name_or_path", "a recipe names its base VLM", "model_name_or_path: ...")
    elif recipe.seen.problem:
        yield error("model_name_or_path", recipe.seen.problem)
    elif recipe.seen.unknown:
        yield left_out("model_name_or_path", recipe.seen.unknown)


def template_is_the_bases(recipe: Settings) -> Iterator[Finding]:
    """Yield a chat template that is none, or another model's."""
    template, family, known = recipe.get("template"), recipe.seen.family, template_names()
    own = f"template: {family.template}" if family else ""
    if not template:
        yield error("template", "none is given: without one no picture reaches the model", own)
    elif known and template not in known:
        close = did_you_mean(str(template), sorted(known)).partition(" known:")[0]
        yield error("template", f"LLaMA-Factory has no template {template!r}{close}", own)
    elif family and template not in {family.template, family.template.removesuffix("_nothink")}:
        others = [other.title for other in FAMILIES if other.template == template]
        if others or recipe.seen.base:
            whose = f"is that of {others[0]}" if others else "is another model's"
            yield error("template", f"{template} {whose}, the base is one of {family.title}", own)
        else:  # a relative of the family may have one of its own
            yield warning("template", f"{template} is not that of {family.title}", own)


def views_are_not_shrunk(recipe: Settings) -> Iterator[Finding]:
    """Yield an `image_max_pixels` below the largest training view, or below the base's one view."""
    view = recipe.view
    if view is None or not (recipe.trains or view.fixed_wh):
        return
    width, height = view.fixed_wh or view.largest_wh
    allowed = int(recipe.number("image_max_pixels", HOST_MAX_PIXELS))
    if width * height > allowed:
        what = "LLaMA-Factory's default of " if recipe.get("image_max_pixels") is None else ""
        most = math.prod(view.fixed_wh or view.limit_wh)
        yield error(
            "image_max_pixels",
            f"the largest view has {width} x {height} = {width * height} pixels, {what}{allowed}"
            " would shrink it and change the focal length, and so the metres",
            f"image_max_pixels: {most}",
        )


def views_fit_the_processor(recipe: Settings) -> Iterator[Finding]:
    """Yield crops that the model's own image processor would shrink or cut into tiles."""
    view = recipe.view
    if not recipe.trains or view is None or recipe.config is None or view.fixed_wh:
        return
    width, height = view.largest_wh
    edge, area = _LONGEST_EDGE.get(view.name), _MOST_PIXELS.get(view.name)
    if edge and max(width, height) > edge:
        key, side = ("crop_width", "width") if width > edge else ("crop_height", "height")
        least = getattr(recipe.config, key)[0]
        yield error(
            f"depthlm.{key}",
            f"{view.title} shrinks pictures with a side over {edge} px, and so the focal length;"
            f" the {side} reaches {max(width, height)}",
            f"{key}: [{min(least, edge)}, {edge}]",
        )
    limit = _processor_pixels(recipe) if view.name in _LIMITED_BY_AREA else area
    if limit and width * height > limit:
        yield error(
            "depthlm.crop_width",
            f"the largest view has {width} x {height} = {width * height} pixels, the base's image"
            f" processor takes {limit} without changing them: a shorter focal_px with a smaller"
            " crop fits",
        )


def samples_fit(recipe: Settings) -> Iterator[Finding]:
    """Yield a `cutoff_len` below the tokens of the largest sample."""
    cutoff = int(recipe.number("cutoff_len", HOST_CUTOFF))
    view, load, config = recipe.view, recipe.load, recipe.config
    if not recipe.trains:
        yield from _evaluation_fits(recipe, cutoff)
        return
    if view is None or load is None or config is None:
        return
    questions = config.questions_per_image
    images = load.tokens - TEXT_TOKENS * (1 + questions)
    needed = -(-load.tokens // 128) * 128
    text = (
        f"the largest sample takes {images} image tokens and its text up to"
        f" {load.tokens - images}, cutoff_len is {cutoff}"
    )
    if images + LEAST_TEXT * questions > cutoff:
        yield error("cutoff_len", f"{text}: image or answer would be cut off",
                    f"cutoff_len: {needed}")  # fmt: skip
    elif load.tokens > cutoff:
        yield warning("cutoff_len", f"{text}: little room", f"cutoff_len: {needed}")


def _evaluation_fits(recipe: Settings, cutoff: int) -> Iterator[Finding]:
    family = recipe.seen.family
    if family is None:
        return
    tokens = family.fixed_tokens
    if not family.fixed_wh:
        patches = int(recipe.number("image_max_pixels", HOST_MAX_PIXELS)) // family.multiple**2
        tokens = patches + (round(patches**0.5) if family.row_tokens else 0)
    if tokens + LEAST_TEXT > cutoff:
        needed = -(-(tokens + 200) // 128) * 128
        yield warning(
            "cutoff_len",
            f"an image of image_max_pixels takes {tokens} image tokens, cutoff_len is {cutoff}:"
            " such images would be refused",
            f"cutoff_len: {needed}",
        )


def scene_is_seen(recipe: Settings) -> Iterator[Finding]:
    """Yield a focal length with which a view shows very little of a scene, or very much."""
    view, config = recipe.view, recipe.config
    if view is None or config is None:
        return
    width, height = view.fixed_wh or view.largest_wh
    across, down = (
        round(2 * math.degrees(math.atan(side / 2 / config.focal_px))) for side in (width, height)
    )
    if _ACROSS_DEG[0] <= across <= _ACROSS_DEG[1]:
        return
    what = "the base's one view" if view.fixed_wh else "the widest crop"
    usual = round(width / 14) * 10 if not view.fixed_wh else view.focal_px
    extent = "only" if across < _ACROSS_DEG[0] else "as much as"
    yield warning(
        "depthlm.focal_px",
        f"{what}, {width} x {height} px, spans {extent} {across} x {down} degrees of the scene at"
        f" f = {config.focal_px:g}; the paper's widest crop spans 70",
        f"focal_px: {usual}",
    )


def mark_is_seen(recipe: Settings) -> Iterator[Finding]:
    """Yield a mark that hides what it marks: wider than four patches of the vision tower."""
    view, config = recipe.view, recipe.config
    if view is None or config is None or config.reference == "text":
        return
    if config.marker_px > 4 * view.patch_px:
        yield warning(
            "depthlm.marker_px",
            f"a mark of {config.marker_px} px covers {config.marker_px / view.patch_px:.0f} patches"
            f" of {view.patch_px} px in a row: it hides what it marks; the paper's has 5 px",
            "marker_px: 5",
        )


def _processor_pixels(recipe: Settings) -> int | None:
    """Return the most pixels that the processor beside the model leaves alone, if that is there."""
    if recipe.seen.folder is None:
        return None
    try:
        path = recipe.seen.folder / "preprocessor_config.json"
        content = json.loads(path.read_text(encoding="utf-8"))
        size = content.get("size") or {}
        limit = content.get("max_pixels") or size.get("longest_edge") or size.get("max_pixels")
    except (OSError, ValueError, AttributeError):
        return None
    return limit if isinstance(limit, int) else None
