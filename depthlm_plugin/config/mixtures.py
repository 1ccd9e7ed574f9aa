"""Published mixtures of training data: what share each dataset has."""

from __future__ import annotations

from ..errors import ConfigError

PRESETS: dict[str, dict[str, float]] = {
    "depthlm": {
        "argoverse2": 1.0,
        "waymo": 1.0,
        "nuscenes": 1.0,
        "scannetpp": 1.0,
        "taskonomy": 1.0,
        "hm3d": 1.0,
        "matterport3d": 0.1,
    },
    "vlm3": {
        "argoverse2": 0.21,
        "waymo": 0.04,
        "nuscenes": 0.01,
        "scannetpp": 0.01,
        "taskonomy": 0.51,
        "hm3d": 0.78,
        "matterport3d": 0.006,
    },
}
"""Weights of datasets by the beginnings of their names (DepthLM §4.1; VLM3, arXiv 2605.30561)."""


def preset_weight(preset: str, dataset: str) -> float:
    """Return the weight that a published mixture gives a dataset, known by how its name begins."""
    plain = dataset.lower().replace("+", "p")  # ScanNet++
    name = "".join(letter for letter in plain if letter.isalnum())
    for beginning, weight in PRESETS[preset].items():
        if name.startswith(beginning):
            return weight
    raise ConfigError(
        f"mixture {preset!r} has no weight for dataset {dataset!r}; it knows names that begin with"
        f" {', '.join(PRESETS[preset])}; give weights in dataset_info.json or interleave_probs"
    )
