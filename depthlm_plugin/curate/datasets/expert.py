"""Anyone's pictures, labelled by an expert model of metric depth."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np

from ...cameras.source import FoundCamera
from ...errors import ConfigError
from ...geometry.camera import Camera
from ...geometry.plausible import DEPTH_M
from ...views.decode import load_rgb
from ..expert.rule import Rule
from ..expert.rules import rule_of
from ..expert.running import load_model, predict
from ..formats.model_files import (
    CONFIG,
    PROCESSOR,
    WEIGHTS,
    model_folder,
    name_of,
    read_config,
    version_of,
)
from ..formats.photographs import Photographs, no_camera, source_mark
from ..frames import Frame, Item

_FARTHEST = 0.99  # of the model's farthest depth: what is there or beyond is left out


@dataclass(frozen=True)
class ExpertLabels(Photographs):
    """Your own pictures, labelled by an expert model of metric depth.

    Source: pictures (`.png`, `.jpg`, `.jpeg`) anywhere below the root, labelled by `--option
    model=...`: a folder below the root, or an absolute one, or a name of the Hugging Face hub.
    Labels are what a model says, not measured; records name it under `teacher`, with a digest of
    its files.

    Licence: yours to state, and the model's: some allow no commercial use of what they say.

    Camera: a `cameras.json` or a COLMAP model in the root, or `--option cameras=FILE`; or `--option
    fov=60` (horizontal, degrees), or EXIF; records say `intrinsics_source: assumed` of the latter
    two. Pictures of which nothing is known have the field of view that Depth Pro predicts, and say
    so (`predicted`), and are left out with other models. A pinhole: undistort first.

    Depth: z of every pixel, by the rule that each record states. Depth Pro: focal_px / (width_px *
    its canonical inverse depth), where a known focal length takes the place of the predicted one
    (Bochkovskii et al., 2024). ZoeDepth (Bhat et al., 2023) and Depth Anything V2, metric (Yang et
    al., 2024): metres as they give them, whatever the focal length. Relative depth is refused, as
    are models that need a depth sensor. None of these states its confidence.

    Units: metres, of the model.

    Invalid: what is at 99 % of the model's farthest depth or beyond, as the sky: of the `max_depth`
    of ZoeDepth and Depth Anything, of 1,000 m of Depth Pro, which can say up to 10,000; what is
    nearer than 1 mm. Beside depth edges no points are drawn, unless `--sampling` says otherwise.

    Split: none; use `depthlm split`. The scene is the picture's folder.
    """

    model: str | None = None

    STORED_DEPTH: ClassVar[str] = "z, by a model"
    SAMPLING: ClassVar[str] = "edges"

    def check_model(self) -> None:
        """Refuse a model that gives no metres."""
        folder = self._folder()
        rule_of(read_config(folder), str(self.model))

    def inputs(self) -> dict[str, str]:
        """Return the version of the model."""
        return {"model": self._version}

    def load(self, item: Item) -> Frame:
        """Return a picture with the expert's depth map."""
        assert self.model is not None
        where = f"expert {item.frame_id}"
        path = self.below(self.root / item.at, where)
        folder, version = self._folder(), self._version
        config = read_config(folder)
        rule = rule_of(config, self.model)
        found = self.camera_of(path, where)
        if found is None and not rule.predicts_focal(config):
            raise no_camera(where, f"a {config['model_type']}")
        known = None if found is None else found.camera
        image = load_rgb(str(path), where, camera=known)
        model, processor = load_model(folder, version)
        said = predict(model, processor, rule, image, None if known is None else known.fx, where)
        left_out = {
            "at the expert's farthest depth": said.depth_m >= _FARTHEST * said.farthest_m,
            "nearer than cameras measure": said.depth_m < DEPTH_M[0],
        }
        focal = _focal_rule(rule, found)
        teacher = name_of(folder, self.model)
        return Frame(
            path,
            known or _central(said.focal_px, image.size),
            "z",
            depth_m=np.where(np.any([*left_out.values()], axis=0), np.nan, said.depth_m),
            scene=self.scene_of(item),
            dropped={why: int(far.sum()) for why, far in left_out.items() if far.any()},
            noted=(f"labelled by {teacher}, {version}", f"focal length: {focal}"),
            extra={
                "teacher": {
                    "model": teacher,
                    "version": version,
                    "metric": rule.metric,
                    "focal": focal,
                },
                **source_mark(found),
            },
        )

    def _folder(self) -> Path:
        if self.model is None:
            raise ConfigError(
                "give --option model=..., the folder of a metric depth model as transformers saves"
                " it, or its name on the Hugging Face hub, as apple/DepthPro-hf"
            )
        return model_folder(self.root, self.model, "model", (CONFIG, PROCESSOR, WEIGHTS))

    @cached_property  # hashes gigabytes; travels to worker processes
    def _version(self) -> str:
        return version_of(self._folder())


def _focal_rule(rule: Rule, found: FoundCamera | None) -> str:
    """Return in a few words which focal length the metres are for."""
    if found is None:
        return "predicted by the expert"
    return f"given ({found.source})" if rule.takes_focal else "not used by the expert"


def _central(focal_px: float | None, size_wh: tuple[int, int]) -> Camera:
    """Return a camera that looks through the middle of its picture."""
    assert focal_px is not None
    width, height = size_wh
    return Camera(focal_px, focal_px, (width - 1) / 2, (height - 1) / 2, size_wh)
