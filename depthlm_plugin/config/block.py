"""The `depthlm:` block of a recipe: its keys, their checks, and how it is saved with a run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from ..errors import ConfigError, did_you_mean
from ..language.templates import load_template, template_files
from ..views.markers import Marker, get_marker, name_color, parse_color
from .checks import RANGES, problems_of

SAVED_AS = "depthlm_config.json"
_SAVED_TEMPLATES = "depthlm_templates/"
_SAVED_FORMAT = 1

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
    time_s: tuple[float, float] = (1.0, 20.0)
    """Range of the times that `speed` questions state, seconds."""
    speed_m_s: tuple[float, float] = (0.5, 15.0)
    """Range of the speeds that `time` questions state, metres a second."""
    order_ratio: float = 1.1
    """Least ratio of the depths of two points whose order is asked for."""
    pair_rows: int = 30
    """Most rows between the two records of a pair in their file."""
    pair_baseline_m: tuple[float, float] = (0.05, 10.0)
    """Least and most metres between the two cameras of a pair."""
    pair_overlap: float = 0.3
    """Least share of labelled points that lie in the other picture too."""
    pair_time_gap: float | None = None
    """Most between the timestamps of a pair, in the dataset's own unit; null: any."""
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
        problems = list(problems_of(self))
        if problems:
            raise ConfigError("depthlm: " + "; ".join(problems))
        # Plain values, so that equal blocks are equal configs however they were written.
        for name in ("focal_px", "max_upscale"):
            object.__setattr__(self, name, float(getattr(self, name)))
        for name in ("marker_color", "marker_color_2", "marker_outline"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, name_color(parse_color(getattr(self, name))))
        object.__setattr__(self, "tasks", dict(self.tasks))
        for name in ("crop_height", "crop_width"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, tuple(getattr(self, name)))
        for name in RANGES:
            object.__setattr__(self, name, tuple(map(float, getattr(self, name))))

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
        known = {key: value for key, value in given.items() if key in CONFIG_KEYS}
        problems = [f"unknown key {key!r}{_nearest_key(key)}" for key in given if key not in known]
        try:
            config = replace(base, **known) if base else cls(**known)
        except ConfigError as error:
            problems.append(str(error).removeprefix("depthlm: "))
        if problems:
            raise ConfigError("depthlm: " + "; ".join(problems))
        return config

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
        return "numbered" if self.reference == "numbered" else self.marker

    @property
    def margin_px(self) -> int:
        """Least distance of a point from the view's border, pixels: its mark needs that room."""
        if self.reference == "text":
            return 0
        most = 1 if self.reference == "marker" else 2 * self.questions_per_image
        return self.make_marker(min(most, _MOST_MARKS)).margin_px

    def to_dict(self) -> dict[str, Any]:
        """Return the block that makes this config."""
        return asdict(self)

    def save(
        self,
        folder: str | Path,
        template: str | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> Path:
        """Write `depthlm_config.json` into a model or adapter folder; return its path.

        `template` is LLaMA-Factory's chat template of the run, for those who ask the model later;
        `data` describes what it is trained on, for those who resume.
        """
        from .. import __version__

        block = self.to_dict()
        for task, own in template_files(list(self.tasks), self.prompt).items():
            # The user's own templates travel with the weights that were taught by them.
            block["prompt"] = _SAVED_TEMPLATES
            place = Path(folder, _SAVED_TEMPLATES, f"{task}.yaml")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(own.read_bytes())
        content = {
            "format": _SAVED_FORMAT,
            "version": __version__,
            "template": template,
            "depthlm": block,
            "data": data,
        }
        path = Path(folder, SAVED_AS)
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        return path

    @classmethod
    def load(cls, folder: str | Path) -> DepthLMConfig | None:
        """Return the config saved in a folder, or None where there is none."""
        content = _saved(folder)
        if content is None:
            return None
        block = dict(content["depthlm"])
        if block.get("prompt") == _SAVED_TEMPLATES:
            block["prompt"] = str(Path(folder, _SAVED_TEMPLATES))
        return cls.from_block(block)


def saved_template(folder: str | Path) -> str | None:
    """Return the chat template saved in a model or adapter folder, or None."""
    content = _saved(folder)
    return None if content is None else content.get("template")


def saved_data(folder: str | Path) -> dict[str, Any] | None:
    """Return the description of the training data saved in a checkpoint, or None."""
    content = _saved(folder)
    return None if content is None else content.get("data")


def _saved(folder: str | Path) -> dict[str, Any] | None:
    path = Path(folder, SAVED_AS)
    if not path.is_file():
        return None
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        saved_format, _ = content["format"], content["depthlm"]
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is not a saved depthlm config ({error!r})") from error
    if saved_format != _SAVED_FORMAT:
        raise ConfigError(
            f"{path} has format {saved_format!r}, this version reads {_SAVED_FORMAT};"
            f" it was written by depthlm-plugin {content.get('version')}"
        )
    return content


CONFIG_KEYS = [item.name for item in fields(DepthLMConfig)]


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


def changes(old: DepthLMConfig, new: DepthLMConfig, keys: frozenset[str]) -> list[str]:
    """Return `key: old -> new` for each of `keys` in which two configs differ."""
    return [
        f"{key}: {getattr(old, key)} -> {getattr(new, key)}"
        for key in CONFIG_KEYS
        if key in keys
        and getattr(old, key) != getattr(new, key)
        and not _same_prompt(key, old, new)
    ]


def _same_prompt(key: str, old: DepthLMConfig, new: DepthLMConfig) -> bool:
    """Return whether two prompts are the same templates in different places."""
    return key == "prompt" and all(
        load_template(task, old.prompt) == load_template(task, new.prompt) for task in old.tasks
    )


def _nearest_key(key: str) -> str:
    return did_you_mean(key, CONFIG_KEYS)
