"""NYU Depth V2 as it is part of SUN RGB-D."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..formats.sunrgbd import NOTE, SunRgbdFrames
from ..reading import Official


@dataclass(frozen=True)
class SunRgbdNyu(SunRgbdFrames):
    """NYU Depth V2 as part of SUN RGB-D: 1449 frames, cut to 561x427 (Silberman et al., 2012).

    Source: Princeton: `SUNRGBD.zip` (6.4 GB) and `SUNRGBDtoolbox.zip`, unpacked into one folder;
    the frames `kv1/NYUdata/`.

    Licence: research use, to be cited; the terms of NYU Depth V2.

    Camera: pinhole, `intrinsics.txt` of each frame (3x3), given for MATLAB's pixels, which count
    from 1.

    Depth: z along the principal axis. `depth/`, which has holes, by default, as DepthLM; `--option
    depth=filled` takes `depth_bfx/`.

    Units: 16-bit PNG, millimetres whose bits are rotated to the left by three.

    Invalid: value 0, and beyond 8 m.

    Split: `test` (default) or `train` of the toolbox's `allsplit.mat`, or `all` 1449, as DepthLM.
    Scenes are not named, so every frame is its own.
    """

    depth: str = "raw"

    STORED_DEPTH: ClassVar[str] = "z, rotated mm"
    CALIBRATED: ClassVar[bool] = True
    OFFICIAL: ClassVar[Official] = Official(
        "distance", "all", scale=0.8, note=NOTE.format("All 1449 frames, train and test.")
    )
    IS_NYU: ClassVar[bool] = True
