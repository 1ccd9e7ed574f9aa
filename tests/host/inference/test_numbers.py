"""The tree of numbers over tokens that stand for one or several letters."""

from __future__ import annotations

import random
from typing import Any

import pytest

from depthlm_plugin.demo.tiny_vlm import build_tokenizer
from depthlm_plugin.errors import ConfigError
from depthlm_plugin.host.inference.continuation import Continuation
from depthlm_plugin.host.inference.numbers import Numbers
from depthlm_plugin.language.reading import read_answer
from depthlm_plugin.language.templates import load_template


def merged_tokenizer() -> Any:
    """A tokenizer with ' 1', '23' and '.5' as tokens, as SentencePiece models have them."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("\u0120", "1"), ("\u0120", "2"), ("2", "3"), (".", "5")]
    words = [*letters, *("".join(pair) for pair in merges), "<end>"]
    backend = Tokenizer(models.BPE({word: at for at, word in enumerate(words)}, merges))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<end>")


TOKENIZERS = {"digits": build_tokenizer, "merged": merged_tokenizer}


@pytest.fixture(params=list(TOKENIZERS))
def tokenizer(request: pytest.FixtureRequest) -> Any:
    return TOKENIZERS[request.param]()


def made(tokenizer: Any, style: str) -> tuple[Continuation, Numbers, Any]:
    def encode(text: str) -> list[int]:
        return [*tokenizer.encode(text, add_special_tokens=False), tokenizer.eos_token_id]

    template = load_template("depth", style)
    words = Continuation(template, encode, tokenizer.decode)
    return words, Numbers(template, words, encode, tokenizer), encode


@pytest.mark.parametrize("style", ["plain", "official"])
def test_every_path_through_the_tree_is_an_answer_that_can_be_read(
    tokenizer: Any, style: str
) -> None:
    _, numbers, _ = made(tokenizer, style)
    template, rng, found = load_template("depth", style), random.Random(0), set()
    for _ in range(400):
        said: list[int] = []
        while not said or said[-1] != tokenizer.eos_token_id:
            said += numbers.forced(said) or [rng.choice(numbers.allowed(said))]
            assert len(said) < 120
        text = tokenizer.decode(said[:-1])
        values = read_answer(text, template).values
        assert values is not None, text
        told = template.written("value", values["value"])
        assert text == template.answer.format(
            value=told, reasoning=(template.reasoning or "").format(value=told)
        )
        found.add(told)
    assert len({len(told) for told in found}) > 3


@pytest.mark.parametrize("value", [0.0043, 0.043, 0.5, 1.0, 2.35, 10.0, 123.45, 9999.99])
@pytest.mark.parametrize("style", ["plain", "official"])
def test_what_the_model_was_taught_is_in_the_tree(tokenizer: Any, style: str, value: float) -> None:
    words, numbers, encode = made(tokenizer, style)
    taught = encode(words.told(value))
    for at in range(len(taught)):
        forced = numbers.forced(taught[:at])
        if forced:
            assert taught[at:][: len(forced)] == forced
        else:
            assert taught[at] in numbers.allowed(taught[:at])
            assert numbers.is_within(taught[:at])


def test_words_are_proposed_before_and_after_the_number() -> None:
    words, _, encode = made(build_tokenizer(), "official")
    taught = encode(words.told(2.35))
    start = words([])
    assert taught[: len(start)] == start
    digits = next(at for at in range(len(start), len(taught)) if words(taught[:at]))
    assert digits == len(start) + 4
    assert words(taught[:digits]) == taught[digits:]
    assert words(taught[: digits - 1]) == words([*start, 5, 6]) == []
    plain, _, _ = made(build_tokenizer(), "plain")
    assert plain([]) == []


def test_answers_of_other_kinds_have_no_tree() -> None:
    tokenizer = build_tokenizer()
    template = load_template("relative_pose", "plain")
    words = Continuation(template, tokenizer.encode, tokenizer.decode)
    assert words([]) == []
    with pytest.raises(ConfigError, match="an answer that is not one number has no tree"):
        Numbers(template, words, tokenizer.encode, tokenizer)
