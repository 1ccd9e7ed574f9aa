"""The checks that training runs itself: quick ones, of the recipe and its records."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from . import adapters, data, doors, method, views
from .finding import ERROR, LEFT_OUT, Finding
from .settings import Settings

_CERTAIN = (method.quantised_base_can_train,)
"""An error of these stops a run. Those of others are likely, and a run may be meant so."""
_LIKELY = (
    views.template_is_the_bases,
    views.scene_is_seen,
    views.mark_is_seen,
    method.tower_is_trained,
    method.merger_is_trained,
    method.target_is_right,
    method.rate_suits,
    method.batch_suits_the_rate,
    method.warm_up_is_one,
    method.clipping_is_on,
    doors.evaluation_answers,
    adapters.adapters_fit_the_base,
)
_OF_RECORDS = (data.sides_are_apart, data.steps_suit_the_data)

logger = logging.getLogger(__name__)


def findings_before_training(
    recipe: Settings, *, data: bool
) -> tuple[list[Finding], list[Finding]]:
    """Return (what is certainly wrong, what else was found) of a recipe that is about to train.

    Args:
        recipe: What LLaMA-Factory was given.
        data: Whether its records may be looked through.
    """
    certain, others = [], []
    for check in (*_CERTAIN, *_LIKELY, *(_OF_RECORDS if data else ())):
        for finding in _found(check, recipe):
            if check in _CERTAIN and finding.level == ERROR:
                certain.append(finding)
            elif finding.level != LEFT_OUT:
                others.append(finding)
    return certain, others


def _found(check: Callable[[Settings], Iterator[Finding]], recipe: Settings) -> list[Finding]:
    try:
        return list(check(recipe))
    except Exception:  # whatever is wrong with a check, it is no reason not to train
        logger.exception("depthlm: the check %s failed; please report it", check.__name__)
        return []
