"""Anyone's pictures, labelled by a model that was trained here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ...errors import ConfigError
from ..formats.model_files import CONFIG, WEIGHTS, model_folder, name_of, version_of
from ..formats.photographs import Photographs, no_camera, source_mark
from ..frames import Answers, Frame, Item
from ..teaching import ask, config_of, load_teacher, task_of

_ADAPTER = "adapter_config.json"


@dataclass(frozen=True)
class TeacherLabels(Photographs):
    """Your own pictures, labelled by a model that was trained with this plugin.

    Source: pictures (`.png`, `.jpg`, `.jpeg`) anywhere below the root, labelled by `--option
    model=...`, the base or merged model, with `--option adapter=...`, its LoRA adapter, if it has
    one: folders below the root, or absolute ones; the base may be a name of the Hugging Face hub.
    Labels are what a model says, not measured; records name it under `teacher`, with a digest of
    all its files.

    Licence: yours to state, and the model's, which has those of its training data and base.

    Camera: a `cameras.json` or a COLMAP model in the root, or `--option cameras=FILE`; or `--option
    fov=60` (horizontal, degrees), or EXIF; records say `intrinsics_source: assumed` of the latter
    two. Pictures of which nothing is known are left out. A pinhole: undistort first.

    Depth: the distance that the model answers, greedily and calibrated where a calibration lies
    beside the weights, for pixels that are drawn of the whole picture; answers that are z are
    converted. Pictures are shown at the focal length of its training, by their cameras. Records
    have the 90 % interval of every label, `interval_90_m`, from and to, metres of distance.

    Units: metres, as the model was taught.

    Invalid: answers that are no number; labels whose 90 % interval reaches beyond 1.25 times the
    label or below a 1.25th of it (`--option max_ratio=1.25`), as of the sky and of what a model
    does not know; pixels so near the border that their mark does not fit. So records have fewer
    points than `--points` asks for.

    Split: none; use `depthlm split`. The scene is the picture's folder.
    """

    model: str | None = None
    adapter: str | None = None
    max_ratio: float = 1.25

    STORED_DEPTH: ClassVar[str] = "asked of a model"

    def check_model(self) -> None:
        """Refuse a model that was not trained here, or learnt no depth."""
        if not self.max_ratio > 1:
            raise ConfigError(f"--option max_ratio={self.max_ratio:g}: expected a factor over 1")
        config_of(self._folders()[-1])

    def inputs(self) -> dict[str, str]:
        """Return the version of the model."""
        return {"model": self._version}

    def load(self, item: Item) -> Frame:
        """Return a picture and whom to ask about its pixels."""
        assert self.model is not None
        where = f"teacher {item.frame_id}"
        path = self.below(self.root / item.at, where)
        found = self.camera_of(path, where)
        if found is None:
            raise no_camera(where, "the model")
        folders = self._folders()
        adapter = folders[1] if len(folders) > 1 else None
        predictor = load_teacher(folders[0], adapter, self._version)
        task = task_of(predictor.config)
        name = name_of(folders[-1], self.adapter or self.model)

        def asked(pixels: NDArray[np.int64]) -> Answers:
            return ask(predictor, path, found, pixels, self.max_ratio)

        return Frame(
            path,
            found.camera,
            "distance",
            ask=asked,
            scene=self.scene_of(item),
            noted=(f"labelled by {name}, {self._version}",),
            extra={
                "teacher": {
                    "model": name,
                    "version": self._version,
                    "task": task,
                    "focal": f"given ({found.source})",
                    "calibrated": task in predictor.calibrations,
                },
                **source_mark(found),
            },
        )

    def _folders(self) -> list[Path]:
        """Return the folder of the model, and the adapter's, if there is one."""
        if self.model is None:
            raise ConfigError(
                "give --option model=..., the folder of a model that was trained with this plugin,"
                " with its depthlm_config.json; of an adapter its base, and --option adapter=..."
            )
        folders = [model_folder(self.root, self.model, "model", (CONFIG, WEIGHTS))]
        if self.adapter is not None:
            folders.append(model_folder(self.root, self.adapter, "adapter", (_ADAPTER, WEIGHTS)))
        return folders

    @cached_property  # hashes gigabytes; travels to worker processes
    def _version(self) -> str:
        return version_of(*self._folders())
