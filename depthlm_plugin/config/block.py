"""The `depthlm:` block of a recipe: its keys, what they mean, and where each may be set."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from ..errors import ConfigError
from ..tasks import OPTIONS, AskSettings
from ..views.markers import Marker, get_marker, parse_color
from .checks import RULES, mark_kind, problems_of

CONFIG_KEYS = list(RULES)
"""Every key of the block: the config's own and, after `tasks`, those that tasks declare."""

_MOST_MARKS = 99

# What the model is taught to see and answer: one value per model, never per dataset.
MODEL_KEYS = frozenset(
    {
        "focal_px",
        "reference",
        "marker",
        "marker_px",
        "marker_color",
        "marker_color_2",
        "marker_outline",
        "prompt",
        "label",
    }
)

# What a run evaluates while it trains: of no dataset's own, and free to change when it is resumed.
EVALUATION_KEYS = frozenset({"eval_answers"})


@dataclass(frozen=True)
class DepthLMConfig:
    """The `depthlm:` block (design §6). Every error in it is reported at once."""

    focal_px: float = 1000.0
    """Unified focal length of every image, both axes, pixels."""
    max_upscale: float = 16.0
    """Largest factor by which an image may be enlarged to reach focal_px; more is refused, since
    pixels would be invented."""
    resampling: str = "fast"
    """`fast` (torch) or `reference` (Pillow only, bit-reproducible across machines); they differ by
    at most 2 grey levels."""
    crop_height: tuple[int, int] | None = (700, 1200)
    """Height of the training crop, uniform over this range, pixels; null: the whole image."""
    crop_width: tuple[int, int] | None = (1000, 1400)
    """Width of the training crop, likewise."""
    reference: str = "marker"
    """How a question refers to its pixel: `marker` (drawn into the image), `text` (coordinates from
    0 to 2000 in the question, nothing drawn) or `numbered` (several numbered marks in one image).
    """
    marker: str = "arrow"
    """Shape of the mark: arrow, cross, dot, ring, box or numbered."""
    marker_px: int = 5
    """Size of the mark, pixels, as its class defines it; no point is asked for so near the border
    that its mark would leave the image."""
    marker_color: str = "red"
    """Colour of the mark: a name or "#rrggbb"; [r, g, b] is read as the colour's name."""
    marker_color_2: str = "blue"
    """Colour of the second mark of a question about two points."""
    marker_outline: str | None = None
    """Colour of a contrast outline, one pixel around the mark; null: none."""
    tasks: Mapping[str, float] = field(default_factory=lambda: {"depth": 1.0})
    """Task -> sampling weight; evaluation asks all of them."""
    task_options: Mapping[str, Any] = field(default_factory=dict)
    """Values of the keys that tasks declare (their `Option`s), which stand here in the block; the
    default of each that is not given."""
    questions_per_image: int = 1
    """Questions packed into one training sample, each a turn; a drawn marker allows one."""
    points_per_record: int | str = 1
    """Samples drawn from one record per epoch, or `all` its points (evaluation)."""
    prompt: str = "official"
    """Template: templates/<task>/<prompt>.yaml; or a path: of a YAML file, or of a folder with
    <task>.yaml."""
    label: str = "distance"
    """What the model answers: `distance` to the camera centre, or `z` along the principal axis."""
    min_depth_m: float = 0.0
    """Points whose label is below are not asked for, metres."""
    max_depth_m: float | None = None
    """Points whose label is above are not asked for, metres; null: no limit."""
    lazy: bool = True
    """Make training samples where they are loaded; false: all of them beforehand, cached."""
    mixture: str | None = None
    """Published weights of datasets, by their names: `depthlm` or `vlm3`; null: by size, by
    `interleave_probs`, or by the `weight` of each dataset in dataset_info.json."""
    eval_answers: int | None = None
    """Questions of eval_dataset that are answered and scored at each evaluation while training, a
    fixed part of each dataset and task; null: only the loss is evaluated."""
    on_error: str = "raise"
    """A record that cannot be used: `raise`, or `skip` (counted by reason and reported)."""
    max_skipped: float = 0.05
    """Share of skipped records at which lazy training stops, with the table of reasons."""
    exif_rotation: str = "refuse"
    """An image turned by its EXIF tag: `refuse`, `apply` or `ignore` (what intrinsics refer to)."""
    seed: int = 0
    """Seed of points and crops."""

    def __post_init__(self) -> None:
        defaults = {key: option.default for key, option in OPTIONS.items()}
        object.__setattr__(self, "task_options", {**defaults, **self.task_options})
        block = self.to_dict()
        problems = list(problems_of(block))
        if problems:
            raise ConfigError("depthlm: " + "; ".join(problems))
        # Plain values, so that equal blocks are equal configs however they were written.
        plain = {key: RULES[key].plain(value) for key, value in block.items()}
        object.__setattr__(self, "task_options", {key: plain.pop(key) for key in OPTIONS})
        for key, value in plain.items():
            object.__setattr__(self, key, value)

    @classmethod
    def from_block(cls, block: object, base: DepthLMConfig | None = None) -> DepthLMConfig:
        """Return the config of a block, over `base` (the adapter's saved config) or the defaults.

        Args:
            block: A mapping, its JSON text (from a command-line flag) or None.
            base: What keys that the block does not give are taken from.

        Raises:
            ConfigError: Naming every unknown key (with the nearest valid one) and bad value.
        """
        given = parse_block(block)
        own = {key: given.pop(key) for key in CONFIG_KEYS if key in given and key not in OPTIONS}
        # What is no key at all is among the options then, and refused with them.
        if base is None:
            return cls(**own, task_options=given)
        return replace(base, **own, task_options={**base.task_options, **given})

    def for_dataset(self, options: Mapping[str, Any], dataset: str) -> DepthLMConfig:
        """Return the config of one dataset: the run's, with its `dataset_info.json` options."""
        for keys, owner in ((MODEL_KEYS, "model"), (EVALUATION_KEYS, "run")):
            shared = sorted(keys & options.keys())
            if shared:
                raise ConfigError(
                    f"dataset {dataset!r}: {', '.join(shared)} belongs to the {owner}, not to one"
                    " of its datasets; set it in the recipe's depthlm block"
                )
        try:
            return DepthLMConfig.from_block(options, base=self)
        except ConfigError as error:
            raise ConfigError(f"dataset {dataset!r}: {error}") from error

    @property
    def ask_settings(self) -> AskSettings:
        """What the tasks are told of this config."""
        return AskSettings(self.label, self.task_options)

    def make_marker(self, number: int = 1) -> Marker:
        """Return the mark that this model is shown; `number` is what a numbered one says."""
        outline = None if self.marker_outline is None else parse_color(self.marker_outline)
        color = parse_color(self.marker_color)
        return get_marker(
            self.mark_kind, self.marker_px, color=color, outline=outline, number=number
        )

    @property
    def mark_kind(self) -> str:
        """The shape of the marks that are drawn."""
        return mark_kind(self.reference, self.marker)

    @property
    def margin_px(self) -> int:
        """Least distance of a point from the view's border, pixels: its mark needs that room."""
        if self.reference == "text":
            return 0
        most = 1 if self.reference == "marker" else 2 * self.questions_per_image
        return self.make_marker(min(most, _MOST_MARKS)).margin_px

    def to_dict(self) -> dict[str, Any]:
        """Return the block that makes this config, its keys in the order of the README's table."""
        block: dict[str, Any] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            block.update(value if item.name == "task_options" else {item.name: value})
        return block


def parse_block(block: object) -> dict[str, Any]:
    """Return a `depthlm:` block as a dict; it may be a mapping, JSON text or nothing."""
    if block is None or block == "":
        return {}
    if isinstance(block, str):
        try:
            block = json.loads(block)
        except ValueError as error:
            raise ConfigError(f"depthlm must be a mapping or JSON, found {block!r}") from error
    if not isinstance(block, Mapping):
        raise ConfigError(f"depthlm must be a mapping of keys, found {type(block).__name__}")
    return {str(key): value for key, value in block.items()}
