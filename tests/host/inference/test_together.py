"""Questions in one row, on random models of many families: what they say alone, said together."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from support.tiny_heads import VOCABULARY, tiny

from depthlm_plugin.host.inference.positions import positions_of, text_after
from depthlm_plugin.host.inference.refusal import CannotShareError
from depthlm_plugin.host.inference.row import Piece, Row, reach
from depthlm_plugin.host.inference.together import Asking, answer_together
from depthlm_plugin.host.inference.trial import try_sharing
from depthlm_plugin.host.inference.whole import generate

IMAGE, STOP, PAD, MOST = 5, [7, 8], 0, 12
GRIDS = "qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_vl_moe", "glm4v", "glm4v_moe"
FIXED = "internvl", "llava"


def shown(family: str, seed: int) -> tuple[Any, list[int], dict[str, torch.Tensor]]:
    """Return a model that reads IMAGE as an image token, a prompt's beginning, and a picture."""
    model = tiny(family).eval()
    model.config.image_token_id = IMAGE
    if hasattr(model.config, "image_token_index"):
        model.config.image_token_index = IMAGE
    generator = torch.Generator().manual_seed(seed)
    if family in GRIDS:
        grid = torch.tensor([[1, 4, 6]])
        pixels = torch.randn((24, 3 * 2 * 14 * 14), generator=generator)
        return model, [11, 12, *[IMAGE] * 6, 13], {"pixel_values": pixels, "image_grid_thw": grid}
    if family == "internvl":
        pixels = torch.randn((1, 3, 28, 28), generator=generator)
        return model, [11, 12, IMAGE, 13], {"pixel_values": pixels}
    model.config.vision_feature_select_strategy = "full"
    pixels = torch.randn((1, 3, 28, 28), generator=generator)
    picture = {"pixel_values": pixels, "image_sizes": torch.tensor([[28, 28]])}
    return model, [11, 12, *[IMAGE] * 4, 13], picture


def alone(model: Any, prompt: list[int], picture: dict[str, torch.Tensor]) -> list[int]:
    inputs = {"input_ids": torch.tensor([prompt]), **picture}
    [answer] = generate(model, inputs, STOP, MOST, PAD)
    return answer


def row_of(model: Any, prefix: list[int], picture: dict[str, torch.Tensor]) -> Row:
    inputs = {"input_ids": torch.tensor([[*prefix, 20]]), **picture}
    positions = positions_of(model, inputs)
    inputs["input_ids"] = inputs["input_ids"][:, :-1]
    start = text_after(positions, len(prefix))
    return Row(model, inputs, positions[..., :-1], start)


QUESTIONS = [[20, 21, 22], [30], [20, 21, 23, 24, 25, 26], [40, 41], [30], [9, 250, 251]]


@pytest.mark.parametrize("family", [*GRIDS, *FIXED])
@torch.inference_mode()
def test_answers_are_those_of_whole_prompts(family: str) -> None:
    model, prefix, picture = shown(family, 0)
    expected = [alone(model, prefix + question, picture) for question in QUESTIONS]
    _, _, another = shown(family, 1)
    row = row_of(model, prefix, picture)
    assert alone(model, [*prefix, 99], another)  # what the model remembers is another picture's
    for _ in range(2):  # the second time after what the first one wrote
        found = answer_together(row, QUESTIONS, Asking(STOP, MOST, lambda _: []))
        assert found == expected
    assert len({tuple(answer) for answer in expected}) > 3
    assert found[1] == found[4]


@torch.inference_mode()
def test_proposals_change_no_answer_whatever_they_are() -> None:
    model, prefix, picture = shown("qwen2_5_vl", 0)
    expected = [alone(model, prefix + question, picture) for question in QUESTIONS]
    row = row_of(model, prefix, picture)
    asked: list[int] = []

    def propose(said: Any) -> list[int]:
        asked.append(len(said))
        right = next((e for e in expected if e[: len(said)] == list(said)), [])
        more = right[len(said) : len(said) + 4]
        return [*more[:3], *((token + 1) % VOCABULARY for token in more[3:])]

    assert answer_together(row, QUESTIONS, Asking(STOP, MOST, propose)) == expected
    steps = len(asked)
    asked.clear()
    one_by_one = Asking(STOP, MOST, lambda said: asked.append(0) or [])
    assert answer_together(row, QUESTIONS, one_by_one) == expected
    assert steps < 0.6 * len(asked)


@torch.inference_mode()
def test_a_stop_token_ends_an_answer_and_the_others_go_on() -> None:
    model, prefix, picture = shown("qwen2_5_vl", 0)
    row = row_of(model, prefix, picture)
    free = answer_together(row, QUESTIONS, Asking([], MOST, lambda _: []))
    assert {len(answer) for answer in free} == {MOST}
    stop = [free[0][2], free[3][5]]
    expected = [
        generate(model, {"input_ids": torch.tensor([prefix + q]), **picture}, stop, MOST, PAD)[0]
        for q in QUESTIONS
    ]
    assert answer_together(row, QUESTIONS, Asking(stop, MOST, lambda _: [])) == expected
    assert len({len(answer) for answer in expected}) > 1


@torch.inference_mode()
def test_a_fork_sees_what_it_was_forked_from_and_not_its_siblings() -> None:
    model, prefix, picture = shown("qwen2_5_vl", 0)
    row = row_of(model, prefix, picture)
    first, other = row.begin(), row.begin()
    row.extend([Piece(first, [20, 21, 22]), Piece(other, [30])])
    branches = [row.fork(first, 3), row.fork(first, 2)]
    left, right = row.extend([Piece(branches[0], [40, 41]), Piece(branches[1], [50])])
    row.drop(branches[0], 1)
    [again] = row.extend([Piece(branches[0], [42], 1)])

    def whole(*tokens: int) -> torch.Tensor:
        ids = torch.tensor([[*prefix, *tokens]])
        inputs = {"input_ids": ids, **picture}
        return model(**inputs, position_ids=positions_of(model, inputs)).logits[0, -1:]

    torch.testing.assert_close(left, whole(20, 21, 22, 40, 41), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(right, whole(20, 21, 50), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(again, whole(20, 21, 22, 40, 42), atol=1e-5, rtol=1e-4)


WORDS = list(range(10, 40))


@pytest.mark.parametrize("family", [*GRIDS, *FIXED, "gemma3", "llava_next", "mistral3"])
@torch.inference_mode()
def test_the_trial_lets_full_attention_share(family: str) -> None:
    try_sharing(tiny(family).eval(), WORDS)


@pytest.mark.parametrize(
    ("family", "reason"),
    [
        ("qwen3_5", "it has layers of linear_attention"),
        ("lfm2_vl", "it has layers of conv"),
        ("ernie4_5_vl_moe", "sends tokens of pictures and of text to different experts"),
        ("paligemma", "differ from those alone"),
    ],
)
@torch.inference_mode()
def test_the_trial_says_why_others_do_not(family: str, reason: str) -> None:
    with pytest.raises(CannotShareError, match=reason):
        try_sharing(tiny(family).eval(), WORDS)


@torch.inference_mode()
def test_attention_that_takes_no_mask_does_not_share() -> None:
    model = tiny("qwen2_5_vl").eval()
    model.config.get_text_config()._attn_implementation = "flash_attention_2"
    with pytest.raises(CannotShareError, match="its attention, flash_attention_2, takes no such"):
        try_sharing(model, WORDS)


def test_it_is_known_how_far_layers_see() -> None:
    assert reach(tiny("gemma3", sliding_window=64)) == 64
    assert reach(tiny("llava", sliding_window=32)) == 32
    assert reach(tiny("llava", sliding_window=None)) is None
    assert reach(tiny("qwen2_5_vl")) is None
