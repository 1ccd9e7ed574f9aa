"""No family's image processor resamples a view: measured in the pixels that the model receives."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.families import (
    CLIP,
    FAMILIES,
    REFUSED,
    Family,
    cropped,
    measure,
    refused_processor,
    table,
)
from support.families import area as area_limits

from depthlm_plugin.errors import HostError
from depthlm_plugin.host.processors.grid import grid_of
from depthlm_plugin.host.processors.proof import prove

BY_NAME = {family.name.split(",")[0]: family for family in FAMILIES}
every_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)


@every_family
def test_focal_lengths_and_mark_survive_the_processor(family: Family, tmp_path: Path) -> None:
    found = measure(family, tmp_path)
    assert grid_of(family.processor()).problem(found.size_wh) is None
    assert found.fx_error < 0.2
    assert found.fy_error < 0.2
    assert found.mark_error_px < 0.5
    if found.overview:  # one exact fraction of the focal length, on both axes
        tiles = round(1 / found.overview[0])
        assert tiles in (2, 3)
        assert found.overview == pytest.approx((1 / tiles, 1 / tiles), rel=0.002)


@pytest.mark.parametrize("suffix", ["", "Pil"])
@every_family
def test_proof_accepts_what_the_grid_accepts(family: Family, suffix: str) -> None:
    import transformers

    if not hasattr(transformers, family.image_processor + suffix):
        pytest.skip("transformers has no Pillow version of it")
    processor = family.processor(suffix)
    grid = grid_of(processor)
    size_wh = grid.fixed_wh or (20 * grid.multiple, 12 * grid.multiple)
    assert grid.problem(size_wh) is None
    prove(family.plugin, processor, size_wh)


@pytest.mark.parametrize(
    ("name", "size_wh"),
    [
        ("Qwen2-VL", (1001, 713)),
        ("GLM-4.1V", (600, 400)),
        ("ERNIE-4.5-VL", (600, 400)),
        ("Pixtral", (1040, 512)),
        ("LFM2-VL", (1024, 1024)),  # four tiles and a thumbnail
        ("Gemma 3", (640, 480)),
        ("Gemma 3", (1792, 448)),  # as many pixels as it makes of it
        ("Gemma 4", (672, 480)),
        ("PaliGemma 448", (476, 448)),
        ("InternVL 3", (896, 896)),
        ("LLaVA-1.5", (448, 336)),
        ("LLaVA-NeXT", (640, 480)),
        ("Video-LLaVA", (256, 224)),
        ("Llama 3.2 Vision", (1000, 1120)),
        ("Llama 4", (1000, 1000)),
    ],
)
def test_other_sizes_are_refused_by_grid_and_proof(name: str, size_wh: tuple[int, int]) -> None:
    processor = BY_NAME[name].processor()
    assert grid_of(processor).problem(size_wh)
    with pytest.raises(HostError, match="does not pass a {}x{} view on".format(*size_wh)):
        prove(BY_NAME[name].plugin, processor, size_wh)


def test_the_measurement_sees_a_resampled_view(tmp_path: Path) -> None:
    found = measure(BY_NAME["Qwen2-VL"], tmp_path, (1001, 713))
    assert found.size_wh == (1008, 700)
    assert found.fx_error == pytest.approx(0.70, abs=0.03)
    assert found.fy_error == pytest.approx(1.82, abs=0.03)


def test_llamafactory_shrinking_an_image_is_seen() -> None:
    processor = BY_NAME["Qwen2-VL"].processor()
    processor.image_max_pixels = 56 * 56
    with pytest.raises(HostError, match="check image_max_pixels"):
        prove(BY_NAME["Qwen2-VL"].plugin, processor, (280, 280))


@pytest.mark.parametrize(
    ("name", "settings", "inside", "outside"),
    [
        ("Qwen2-VL", area_limits(56 * 56, 28 * 28 * 10), (280, 28), (308, 28)),
        ("Qwen2-VL", area_limits(56 * 56, 28 * 28 * 10), (112, 28), (84, 28)),
        ("ERNIE-4.5-VL", area_limits(56 * 56, 28 * 28 * 10), (140, 56), (140, 84)),
        ("GLM-4.1V", area_limits(112 * 112, 28 * 28 * 40), (280, 56), (308, 56)),
        ("GLM-4.6V", area_limits(112 * 112, 28 * 28 * 40), (112, 56), (84, 56)),
        ("Pixtral", {"size": {"longest_edge": 160}}, (160, 16), (176, 16)),
        ("LFM2-VL", {"max_image_tokens": 80}, (320, 256), (320, 288)),
        ("LFM2-VL", {}, (256, 256), (256, 224)),
    ],
)
def test_limits_are_the_processors(
    name: str, settings: dict[str, Any], inside: tuple[int, int], outside: tuple[int, int]
) -> None:
    processor = BY_NAME[name].processor(**settings)
    grid = grid_of(processor)
    assert grid.problem(inside) is None
    prove(BY_NAME[name].plugin, processor, inside)
    assert grid.problem(outside)
    with pytest.raises(HostError, match="does not pass"):
        prove(BY_NAME[name].plugin, processor, outside)


@pytest.mark.parametrize(
    ("name", "attribute", "settings", "message"),
    [
        ("Gemma 3", "image_do_pan_and_scan", {}, "set image_do_pan_and_scan: false"),
        ("Gemma 3", None, {"do_pan_and_scan": True}, "set do_pan_and_scan: false"),
        ("InternVL 3", "crop_to_patches", {}, "set crop_to_patches: false"),
        ("InternVL 3", None, {"crop_to_patches": True}, "set crop_to_patches: false in its"),
        (
            "LLaVA-1.5",
            None,
            cropped(224, **CLIP) | {"size": {"shortest_edge": 256}},
            "resizes to 256x256 and then crops to 224x224",
        ),
        ("LLaVA-NeXT", None, {"image_grid_pinpoints": [[336, 672]]}, "hold no 672x672"),
        ("Llama 4", None, {"resize_to_max_canvas": True}, "set resize_to_max_canvas: false"),
    ],
)
def test_settings_that_resample_are_refused(
    name: str, attribute: str | None, settings: dict[str, Any], message: str
) -> None:
    processor = BY_NAME[name].processor(**settings)
    if attribute:
        setattr(processor, attribute, True)
    with pytest.raises(HostError, match=rf"{BY_NAME[name].image_processor} cannot .*{message}"):
        grid_of(processor)


@pytest.mark.parametrize(("name", "image_processor"), [(row[0], row[2]) for row in REFUSED])
def test_refused_families_are_named_with_the_reason(name: str, image_processor: str) -> None:
    reason = {
        "Idefics 3": "has no template",
        "SmolVLM": "has no template",
        "MiniCPM-V 4.6": "never opened",
    }.get(name, "comes with the model")
    with pytest.raises(HostError, match=f"{image_processor} cannot be trusted .* {reason}"):
        grid_of(refused_processor(image_processor))


def test_unknown_processors_are_refused() -> None:
    from transformers import ViTImageProcessor

    with pytest.raises(HostError, match=r"ViTImageProcessor .* supported: Qwen2VLImageProcessor, "):
        grid_of(SimpleNamespace(image_processor=ViTImageProcessor()))
    with pytest.raises(HostError, match="no image processor"):
        grid_of(None)


def test_every_template_that_takes_images_is_in_the_table() -> None:
    from llamafactory.data.template import TEMPLATES

    ours = {name for family in FAMILIES for name in family.templates}
    ours |= {name for _, templates, _ in REFUSED for name in templates}
    theirs = {name for name, template in TEMPLATES.items() if template.mm_plugin.image_token}
    assert ours == theirs


def test_the_table_of_the_documentation_is_what_is_measured(tmp_path: Path) -> None:
    import depthlm_plugin.host

    (folder,) = depthlm_plugin.host.__path__
    committed = re.split(r"(\d+\.\d+)", Path(folder, "FAMILIES.md").read_text())
    measured = re.split(r"(\d+\.\d+)", table(tmp_path))
    assert committed[::2] == measured[::2]
    # Machines may render a grey level apart: that moves a mark by a few hundredths of a pixel.
    numbers = [list(map(float, texts[1::2])) for texts in (committed, measured)]
    assert numbers[0] == pytest.approx(numbers[1], abs=0.1)
