"""All checks of a recipe, in the order in which they are reported."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from . import adapters, data, doors, environment, keys, method, tokens, views
from .finding import Finding
from .settings import Settings

CHECKS: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
    keys.keys_are_known,
    keys.numbers_are_numbers,
    keys.block_is_valid,
    views.base_is_known,
    views.template_is_the_bases,
    views.views_are_not_shrunk,
    views.views_fit_the_processor,
    views.samples_fit,
    views.scene_is_seen,
    views.mark_is_seen,
    tokens.base_can_chat,
    tokens.digits_are_single,
    tokens.answers_fit,
    method.tower_is_trained,
    method.merger_is_trained,
    method.quantised_base_can_train,
    method.target_is_right,
    method.rate_suits,
    method.batch_suits_the_rate,
    method.warm_up_is_one,
    method.clipping_is_on,
    doors.work_is_named,
    doors.depth_can_use_it,
    doors.evaluation_answers,
    adapters.adapters_fit_the_base,
    adapters.view_is_as_taught,
    data.datasets_are_listed,
    data.datasets_are_there,
    data.whole_images_fit,
    data.sides_are_apart,
    data.steps_suit_the_data,
    environment.versions_are_right,
    environment.packages_are_installed,
    environment.attention_is_installed,
    environment.precision_suits,
    environment.memory_suffices,
)


def findings_of(recipe: Settings) -> list[Finding]:
    """Return everything that the checks find in a recipe."""
    return [finding for check in CHECKS for finding in check(recipe)]
