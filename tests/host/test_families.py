"""No family's image processor resamples a view: measured in the pixels that the model receives."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.families import BASE_VLMS, REFUSED, BaseVLM, Limit, RefusedVLM, Resampling, table
from support.focal_lengths import measure

import depthlm_plugin.host.processors
from depthlm_plugin.errors import HostError
from depthlm_plugin.host.processors import families, registry
from depthlm_plugin.host.processors.proof import prove
from depthlm_plugin.host.processors.registry import grid_of

FOLDER = Path(depthlm_plugin.host.processors.__path__[0])
QWEN = BASE_VLMS[0]
every_vlm = pytest.mark.parametrize("vlm", BASE_VLMS, ids=lambda vlm: vlm.name)


def each(attribute: str) -> pytest.MarkDecorator:
    """Each entry of an attribute of each base VLM."""
    cases = [
        pytest.param(vlm, entry, id=f"{vlm.name}-{number}")
        for vlm in BASE_VLMS
        for number, entry in enumerate(getattr(vlm, attribute))
    ]
    return pytest.mark.parametrize(("vlm", "entry"), cases)


@every_vlm
def test_focal_lengths_and_mark_survive_the_processor(vlm: BaseVLM, tmp_path: Path) -> None:
    found = measure(vlm, tmp_path)
    assert grid_of(vlm.processor()).problem(found.size_wh) is None
    assert found.fx_error < 0.2
    assert found.fy_error < 0.2
    assert found.mark_error_px < 0.5
    if found.overview:  # one exact fraction of the focal length, on both axes
        tiles = round(1 / found.overview[0])
        assert tiles in (2, 3)
        assert found.overview == pytest.approx((1 / tiles, 1 / tiles), rel=0.002)


@pytest.mark.parametrize("suffix", ["", "Pil"])
@every_vlm
def test_proof_accepts_what_the_grid_accepts(vlm: BaseVLM, suffix: str) -> None:
    import transformers

    if not hasattr(transformers, vlm.image_processor + suffix):
        pytest.skip("transformers has no Pillow version of it")
    processor = vlm.processor(suffix)
    grid = grid_of(processor)
    size_wh = grid.fixed_wh or (20 * grid.multiple, 12 * grid.multiple)
    assert grid.problem(size_wh) is None
    prove(vlm.plugin, processor, size_wh)


@each("others")
def test_other_sizes_are_refused_by_grid_and_proof(vlm: BaseVLM, entry: tuple[int, int]) -> None:
    processor = vlm.processor()
    assert grid_of(processor).problem(entry)
    with pytest.raises(HostError, match="does not pass a {}x{} view on".format(*entry)):
        prove(vlm.plugin, processor, entry)


def test_the_measurement_sees_a_resampled_view(tmp_path: Path) -> None:
    found = measure(QWEN, tmp_path, (1001, 713))
    assert found.size_wh == (1008, 700)
    assert found.fx_error == pytest.approx(0.70, abs=0.03)
    assert found.fy_error == pytest.approx(1.82, abs=0.03)


def test_llamafactory_shrinking_an_image_is_seen() -> None:
    processor = QWEN.processor()
    processor.image_max_pixels = 56 * 56
    with pytest.raises(HostError, match="check image_max_pixels"):
        prove(QWEN.plugin, processor, (280, 280))


@each("limits")
def test_limits_are_the_processors(vlm: BaseVLM, entry: Limit) -> None:
    processor = vlm.processor(**entry.settings)
    grid = grid_of(processor)
    assert grid.problem(entry.inside) is None
    prove(vlm.plugin, processor, entry.inside)
    assert grid.problem(entry.outside)
    with pytest.raises(HostError, match="does not pass"):
        prove(vlm.plugin, processor, entry.outside)


@each("resampling")
def test_settings_that_resample_are_refused(vlm: BaseVLM, entry: Resampling) -> None:
    processor = vlm.processor(**entry.settings)
    if entry.attribute:
        setattr(processor, entry.attribute, True)
    with pytest.raises(HostError, match=rf"{vlm.image_processor} cannot .*{entry.message}"):
        grid_of(processor)


@pytest.mark.parametrize("vlm", REFUSED, ids=lambda vlm: vlm.name)
def test_refused_base_vlms_are_named_with_the_reason(vlm: RefusedVLM) -> None:
    message = f"{vlm.image_processor} cannot be trusted .* {vlm.reason}"
    with pytest.raises(HostError, match=message):
        grid_of(vlm.processor())


def test_unknown_processors_are_refused() -> None:
    from transformers import ViTImageProcessor

    with pytest.raises(
        HostError, match=r"ViTImageProcessor .* supported: CLIP.*, Qwen2VLImageProcessor, "
    ):
        grid_of(SimpleNamespace(image_processor=ViTImageProcessor()))
    with pytest.raises(HostError, match="no image processor"):
        grid_of(None)


@pytest.fixture
def add_family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Add a file to the folder of families, for one test."""

    def add(name: str, class_name: str) -> None:
        (tmp_path / f"{name}.py").write_text(
            "from depthlm_plugin.host.processors.family import Family\n"
            "from depthlm_plugin.host.processors.grid import resized\n"
            f"FAMILY = Family(({class_name!r},), resized)\n"
        )
        monkeypatch.setattr(families, "__path__", [*families.__path__, str(tmp_path)])
        monkeypatch.delitem(sys.modules, f"{families.__name__}.{name}", raising=False)
        registry._families.cache_clear()

    yield add
    registry._families.cache_clear()


def test_a_file_in_the_folder_is_a_family(add_family) -> None:
    from transformers import ViTImageProcessor

    add_family("vit", "ViTImageProcessor")
    grid = grid_of(SimpleNamespace(image_processor=ViTImageProcessor()))
    assert grid.fixed_wh == (224, 224)


def test_two_files_do_not_share_an_image_processor(add_family) -> None:
    add_family("zwin", "Qwen2VLImageProcessor")
    with pytest.raises(HostError, match=r"families/zwin\.py: another file has Qwen2VLImageProc"):
        grid_of(QWEN.processor())


def test_finding_families_does_not_import_transformers(run_python) -> None:
    result = run_python(
        "import sys; from depthlm_plugin.host.processors import registry\n"
        "print(len(registry._families()), sorted({'torch', 'transformers'} & sys.modules.keys()))"
    )
    count, modules = result.stdout.split(maxsplit=1)
    assert int(count) > 20
    assert modules == "[]\n"


def test_every_template_that_takes_images_is_in_the_table() -> None:
    from llamafactory.data.template import TEMPLATES

    ours = {name for vlm in (*BASE_VLMS, *REFUSED) for name in vlm.templates}
    theirs = {name for name, template in TEMPLATES.items() if template.mm_plugin.image_token}
    assert ours == theirs


def test_the_table_of_the_documentation_is_what_is_measured(tmp_path: Path) -> None:
    committed = re.split(r"(\d+\.\d+)", (FOLDER / "FAMILIES.md").read_text())
    measured = re.split(r"(\d+\.\d+)", table(tmp_path))
    assert committed[::2] == measured[::2]
    # Machines may render a grey level apart: that moves a mark by a few hundredths of a pixel.
    numbers = [list(map(float, texts[1::2])) for texts in (committed, measured)]
    assert numbers[0] == pytest.approx(numbers[1], abs=0.1)
