"""The estimate of operations and time: its formula on small numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from depthlm_plugin.recipe.flops import CARDS, card_of, duration, flops_of, seconds_of
from depthlm_plugin.recipe.memory import Load
from depthlm_plugin.recipe.sizes import Sizes

SIZES = Sizes(
    language=2_000_000, tables=1, vision=1_100_000, merger=100_000, language_sides=3_000,
    vision_sides=2_000, layers=10, hidden=100, inner=400, vocabulary=5_000, vision_layers=5,
    vision_hidden=50, vision_inner=200,
)  # fmt: skip
LOAD = Load(samples=1, tokens=1_000, patches=3_000, answers=40, span=64)
FORWARD = 2 * 2_000_000 * 1_000
ATTENDED = 4 * 1_000**2 * 100 * 10
TOWER, SEEN = 2 * 1_000_000 * 3_000, 4 * 3_000 * 64 * 50 * 5
LOGITS, MERGER = 2 * 100 * 5_000 * 40, 2 * 100_000 * 1_000
ADAPTERS = 2 * 64 * 3_000 * 1_000


def test_lora_passes_twice_and_once_more_with_checkpointing() -> None:
    adapters = ADAPTERS + 2 * 64 * 2_000 * 3_000
    rest = 2 * LOGITS + 3 * MERGER
    kept = 2 * (FORWARD + TOWER) + 3.5 * (ATTENDED + SEEN) + 3 * adapters + rest
    again = 3 * (FORWARD + TOWER) + 4.5 * (ATTENDED + SEEN) + 4 * adapters + rest
    assert flops_of(SIZES, "lora", LOAD, checkpointing=False) == pytest.approx(kept)
    assert flops_of(SIZES, "lora", LOAD) == pytest.approx(again)


def test_a_frozen_tower_is_passed_once() -> None:
    found = flops_of(SIZES, "qlora", replace(LOAD, tower=False), checkpointing=False)
    language = 2 * FORWARD + 3.5 * ATTENDED + 3 * ADAPTERS
    assert found == pytest.approx(language + TOWER + SEEN + 2 * LOGITS + 3 * MERGER)


def test_all_weights_have_gradients_of_their_own() -> None:
    found = flops_of(SIZES, "full", LOAD, checkpointing=False)
    expected = 3 * (FORWARD + TOWER + LOGITS + MERGER) + 3.5 * (ATTENDED + SEEN)
    assert found == pytest.approx(expected)


def test_a_token_meets_few_of_the_experts() -> None:
    few = flops_of(replace(SIZES, experts=True, active=500_000), "lora", LOAD)
    assert flops_of(SIZES, "lora", LOAD) - few == pytest.approx(3 * FORWARD * 3 / 4)


def test_time_is_that_of_a_card_at_less_than_its_peak() -> None:
    assert seconds_of(100e12, 250) == pytest.approx(1)
    assert card_of(80) == ("A100", 312)
    assert card_of(64) == ("A40", 150)
    assert card_of(16) == CARDS[0][1:]


@pytest.mark.parametrize(
    ("seconds", "words"), [(50, "50 s"), (720, "12 min"), (5399, "90 min"), (11520, "3.2 h")]
)
def test_durations_are_short(seconds: float, words: str) -> None:
    assert duration(seconds) == words
