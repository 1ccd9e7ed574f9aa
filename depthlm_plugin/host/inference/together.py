"""Answers questions that go on from one prefix, token by token, all of them in each forward."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch

from .row import Piece, Row
from .whole import ended

Tokens = Callable[[Sequence[int]], list[int]]  # of what has been said
Watch = Callable[[int, list[int], torch.Tensor], None]


class Asking(NamedTuple):
    """How answers are given.

    Attributes:
        stop: Tokens that end an answer; the last of one.
        most: The most tokens of an answer.
        propose: Tokens that may follow; they are kept as far as the model agrees.
        allowed: If given, tokens of which one must follow, and what is proposed is kept whether
            the model agrees or not.
    """

    stop: Sequence[int]
    most: int
    propose: Tokens
    allowed: Tokens | None = None


def answer_together(
    row: Row, rests: Sequence[Sequence[int]], asking: Asking, watch: Watch | None = None
) -> list[list[int]]:
    """Return the tokens that a model answers questions with, greedily.

    Args:
        row: The prefix of all prompts; what else it holds is forgotten. Afterwards it holds a text
            for each question, of the question's number.
        rests: Of each prompt, the tokens after the prefix; at least one.
        asking: How answers are given.
        watch: Told of each token before it is chosen: number of the question, what has been said,
            logits (vocabulary).
    """
    stop, most, propose, allowed = asking
    row.clear()
    answers: list[list[int]] = [[] for _ in rests]
    texts = [row.begin() for _ in rests]
    unread = [list(rest) for rest in rests]
    open_ = list(range(len(rests)))
    while open_:
        proposed = [propose(answers[at]) for at in open_]
        pieces = [
            Piece(texts[at], unread[at] + more, 1 + len(more))
            for at, more in zip(open_, proposed, strict=True)
        ]
        found = row.extend(pieces)
        best = torch.cat([logits.argmax(dim=-1) for logits in found]).tolist()
        still = []
        for at, more, logits in zip(open_, proposed, found, strict=True):
            chosen, best = best[: 1 + len(more)], best[1 + len(more) :]
            if allowed is not None and (not more or more[-1] not in stop):
                choice = allowed(answers[at] + more)
                chosen = [*more, choice[int(logits[-1][choice].argmax())]]
            elif allowed is not None:
                chosen = list(more)
            agreed = 0
            while agreed < len(more) and chosen[agreed] == more[agreed]:
                agreed += 1
            row.drop(texts[at], len(more) - agreed)
            if watch is not None:
                for step in range(agreed + 1):
                    watch(at, answers[at] + more[:step], logits[step])
            said = ended((answers[at] + chosen[: agreed + 1])[:most], stop)
            answers[at], unread[at] = said, said[-1:]
            if len(said) < most and said[-1] not in stop:
                still.append(at)
        open_ = still
    return answers
