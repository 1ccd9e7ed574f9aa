"""The estimate of memory: its formula on small numbers, and what it says of known cases."""

from __future__ import annotations

from dataclasses import replace

import pytest

from depthlm_plugin.recipe.bases import BASES
from depthlm_plugin.recipe.memory import REST_GB, Load, estimate
from depthlm_plugin.recipe.plan import CARDS, plan, smallest
from depthlm_plugin.recipe.sizes import Sizes

SMALL = Sizes(
    language=6_000_000_000, tables=1_000_000_000, vision=1_000_000_000,
    merger=50_000_000, language_sides=1_000_000, vision_sides=500_000,
    layers=10, hidden=1000, inner=4000, vocabulary=100_000,
    vision_layers=5, vision_hidden=500, vision_inner=2000,
)  # fmt: skip
LOAD = Load(samples=2, tokens=1000, patches=3000, answers=40)
ONE = Load(samples=1, tokens=2300, patches=8400, answers=50)
BASE = {base.stem: base.sizes for base in BASES}


def test_the_formula_of_lora() -> None:
    found = estimate(SMALL, "lora", LOAD)
    assert found.weights_gb == pytest.approx(16)
    assert found.training_gb == pytest.approx(16 * (64 * 1_500_000 + 50_000_000) / 1e9)
    language = 2 * 2000 * (1000 * 10 + 26 * 1000 + 7 * 4000)
    kept, at_work = 2 * 6000 * 500 * 5, 2 * 6000 * (26 * 500 + 7 * 2000)
    assert at_work > language
    assert found.activations_gb == pytest.approx((kept + at_work) / 1e9)
    assert found.logits_gb == pytest.approx(12 * 2 * 80 * 100_000 / 1e9)
    parts = found.weights_gb + found.training_gb + found.activations_gb + found.logits_gb
    assert found.total_gb == pytest.approx(parts + REST_GB)


def test_no_more_positions_than_there_are_have_logits() -> None:
    found = estimate(SMALL, "lora", replace(LOAD, answers=1000))
    assert found.logits_gb == pytest.approx(12 * 2 * 1000 * 100_000 / 1e9)


def test_four_bits_are_for_linear_layers_and_adapters_for_the_language_model() -> None:
    found = estimate(SMALL, "qlora", replace(LOAD, tower=False))
    assert found.weights_gb == pytest.approx(2 + 7 * 0.52)
    assert found.training_gb == pytest.approx(64 * 1_000_000 * 16 / 1e9)
    assert found.activations_gb < estimate(SMALL, "lora", LOAD).activations_gb


@pytest.mark.parametrize(
    ("zero", "weights", "training"), [(0, 0, 18 * 8), (2, 16, 14 * 8 / 4), (3, 0, 16 * 8 / 4)]
)
def test_zero_divides_what_it_divides(zero: int, weights: float, training: float) -> None:
    found = estimate(SMALL, "full", LOAD, gpus=4, zero=zero)
    assert (found.weights_gb, found.training_gb) == pytest.approx((weights, training))


def test_without_checkpointing_every_layer_is_kept() -> None:
    found = estimate(SMALL, "lora", LOAD, checkpointing=False)
    language = 2 * 2000 * (10 * (16 * 1000 + 4 * 4000) + 4 * 4000)
    vision = 5 * 2 * 6000 * (16 * 500 + 4 * 2000)
    assert found.activations_gb == pytest.approx((language + vision) / 1e9)


def test_a_frozen_tower_keeps_nothing_and_has_no_adapters() -> None:
    frozen = estimate(SMALL, "lora", replace(LOAD, tower=False))
    assert frozen.training_gb == pytest.approx(16 * (64 * 1_000_000 + 50_000_000) / 1e9)
    assert frozen.activations_gb == pytest.approx(2 * 6000 * (26 * 500 + 7 * 2000) / 1e9)


def test_one_sequence_of_all_pictures_has_a_mask() -> None:
    joined = estimate(SMALL, "lora", replace(LOAD, joined=True)).activations_gb
    alone = estimate(SMALL, "lora", LOAD).activations_gb
    assert joined - alone == pytest.approx(2 * 6000**2 / 1e9)


@pytest.mark.parametrize(
    ("stem", "method", "samples", "tokens", "patches", "expected_gb"),
    [
        ("qwen", "lora", 1, 2300, 8400, 18),
        ("qwen", "lora", 4, 2300, 8400, 36),
        ("qwen", "qlora", 1, 2300, 8400, 11),
        ("qwen3vl_4b", "lora", 4, 2200, 6364, 37),
        ("pixtral", "lora", 1, 3840, 3584, 39),
    ],
)
def test_it_agrees_with_the_estimates_made_by_hand(
    stem: str, method: str, samples: int, tokens: int, patches: int, expected_gb: float
) -> None:
    """Of issue 15, made before there was a formula, with all logits; neither was measured."""
    load = Load(samples, tokens, patches, tokens, tower=method != "qlora")
    found = estimate(BASE[stem], method, load)
    assert found.total_gb == pytest.approx(expected_gb, rel=0.15)


def test_a_plan_takes_the_largest_batch_that_fits() -> None:
    small = plan(BASE["qwen"], "lora", ONE, 1, 24)
    large = plan(BASE["qwen"], "lora", ONE, 1, 80)
    assert (small.batch, small.accumulation, small.fits) == (4, 8, True)
    assert (large.batch, large.accumulation, large.fits) == (8, 4, True)


def test_several_gpus_share_by_the_least_that_is_enough() -> None:
    assert smallest(BASE["qwen"], "full", ONE).zero == 2
    largest = smallest(BASE["qwen_72b"], "lora", ONE)
    assert (largest.gpus, largest.zero) == (4, 3)
    huge = replace(SMALL, language=10**13)
    assert not smallest(huge, "lora", ONE, CARDS).fits
