"""What a model could have answered besides: probabilities over the tree of numbers.

The greedy answer gives the next token's probabilities after each of its own beginnings. Other
beginnings that are probable enough are followed in a few more forwards, all questions together;
the rest keeps its probability, unfollowed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from .numbers import Numbers
from .row import Piece, Row
from .together import Asking, answer_together

_FORWARDS = 3  # after the greedy answer
_WORTH = 0.01  # of a beginning that is followed
_BEGINNINGS = 8  # of a question that are followed in one forward


class Share(NamedTuple):
    """The probability of a number, or of all numbers with a beginning.

    Attributes:
        number: As it is written: `2.35`, or so far: `2.`.
        probability: Of all that could be said.
        whole: Whether the number is written to its end.
    """

    number: str
    probability: float
    whole: bool


class _Beginning(NamedTuple):
    said: tuple[int, ...]
    probability: float
    text: int  # in the row, of which it is the token after the first `length`
    length: int


def weigh_together(
    row: Row, rests: Sequence[Sequence[int]], asking: Asking, numbers: Numbers
) -> list[tuple[list[int], list[Share]]]:
    """Return for each question the tokens of its answer, and the shares of all numbers.

    Args:
        row: The prefix of all prompts.
        rests: Of each prompt, the tokens after the prefix.
        asking: How answers are given.
        numbers: The tree of numbers.
    """
    seen: list[dict[tuple[int, ...], dict[int, float]]] = [{} for _ in rests]

    def watch(at: int, said: list[int], logits: torch.Tensor) -> None:
        key = tuple(said)
        if numbers.is_within(key) and not numbers.forced(key):
            seen[at][key] = _children(numbers, key, logits)

    answers = answer_together(row, rests, asking, watch)
    shares: list[list[Share]] = [[] for _ in rests]
    left: list[list[_Beginning]] = [[] for _ in rests]
    for at, rest in enumerate(rests):
        mass = {numbers.start: 1.0}
        for said, children in seen[at].items():  # in the order in which they were said
            for token, probability in children.items():
                key = (*said, token)
                mass[key] = mass[said] * probability
                if key not in seen[at]:
                    child = _Beginning(key, mass[key], at, len(rest) + len(said))
                    _put(numbers, child, shares[at], left[at])
    for _ in range(_FORWARDS):
        chosen = [_worth(beginnings) for beginnings in left]
        flat = [(at, one) for at, some in enumerate(chosen) for one in some]
        if not flat:
            break
        forks = [row.fork(one.text, one.length) for _, one in flat]
        pieces = [Piece(fork, one.said[-1:]) for fork, (_, one) in zip(forks, flat, strict=True)]
        for fork, (at, one), logits in zip(forks, flat, row.extend(pieces), strict=True):
            left[at].remove(one)
            for token, probability in _children(numbers, one.said, logits[0]).items():
                key, joint = (*one.said, token), one.probability * probability
                _put(numbers, _Beginning(key, joint, fork, one.length + 1), shares[at], left[at])
    for at, beginnings in enumerate(left):
        shares[at] += [
            Share(numbers.number(one.said), one.probability, False) for one in beginnings
        ]
    return list(zip(answers, shares, strict=True))


def _children(numbers: Numbers, said: Sequence[int], logits: torch.Tensor) -> dict[int, float]:
    """Return the probability of each token that goes on with a number."""
    tokens = numbers.allowed(said)
    probabilities = logits.float().softmax(dim=-1)[tokens].tolist()
    return dict(zip(tokens, probabilities, strict=True))


def _put(numbers: Numbers, one: _Beginning, shares: list[Share], left: list[_Beginning]) -> None:
    """Note a beginning, or the number that it is."""
    number = numbers.number(one.said)
    if numbers.is_whole(number):
        shares.append(Share(number, one.probability, True))
    else:
        left.append(one)


def _worth(beginnings: Sequence[_Beginning]) -> list[_Beginning]:
    """Return the most probable beginnings that are worth a forward."""
    ordered = sorted(beginnings, key=lambda one: -one.probability)
    return [one for one in ordered[:_BEGINNINGS] if one.probability >= _WORTH]
