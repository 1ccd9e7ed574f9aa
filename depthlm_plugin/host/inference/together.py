"""Answers questions that go on from one prefix, token by token, all of them in each forward."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from .row import Piece, Row
from .whole import ended

Propose = Callable[[Sequence[int]], list[int]]


def answer_together(
    row: Row, rests: Sequence[Sequence[int]], stop: Sequence[int], most: int, propose: Propose
) -> list[list[int]]:
    """Return the tokens that a model answers questions with, greedily.

    Args:
        row: The prefix of all prompts; what else it holds is forgotten.
        rests: Of each prompt, the tokens after the prefix; at least one.
        stop: Tokens that end an answer; the last of one.
        most: The most tokens of an answer.
        propose: Tokens said -> tokens that may follow; they are kept as far as the model agrees.
    """
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
        best = torch.cat([logits.argmax(dim=-1) for logits in row.extend(pieces)]).tolist()
        still = []
        for at, more in zip(open_, proposed, strict=True):
            chosen, best = best[: 1 + len(more)], best[1 + len(more) :]
            agreed = 0
            while agreed < len(more) and chosen[agreed] == more[agreed]:
                agreed += 1
            row.drop(texts[at], len(more) - agreed)
            said = ended((answers[at] + chosen[: agreed + 1])[:most], stop)
            answers[at], unread[at] = said, said[-1:]
            if len(said) < most and said[-1] not in stop:
                still.append(at)
        open_ = still
    return answers
