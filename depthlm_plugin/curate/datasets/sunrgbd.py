"""SUN RGB-D without its NYU part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..formats.sunrgbd import NOTE, SunRgbdFrames
from ..reading import Official


@dataclass(frozen=True)
class SunRgbd(SunRgbdFrames):
    """SUN RGB-D: indoor frames of four RGB-D cameras, without its NYU part (Song et al., 2015).

    Source: Princeton: `SUNRGBD.zip` (6.4 GB) and `SUNRGBDtoolbox.zip`, unpacked into one folder.
    Frames are found wherever a folder holds `image/` and `depth_bfx/`. Those of NYU Depth V2 are
    the dataset `nyuv2_sunrgbd`.

    Licence: research use, to be cited; parts have the terms of NYU, B3DO and SUN3D.

    Camera: pinhole, `intrinsics.txt` of each frame (3x3), given for MATLAB's pixels, which count
    from 1. Kinect v1 and v2, RealSense and Xtion, named by `camera`.

    Depth: z along the principal axis. `depth_bfx/`, whose holes are filled, by default;
    `--option depth=raw` takes `depth/`.

    Units: 16-bit PNG, millimetres whose bits are rotated to the left by three.

    Invalid: value 0, and beyond 8 m.

    Split: `test` (default) or `train` of the toolbox's `allsplit.mat`, or `all`. Scenes are the
    places of SUN3D; the other parts do not name theirs, so every frame is its own.
    """

    STORED_DEPTH: ClassVar[str] = "z, rotated mm"
    CALIBRATED: ClassVar[bool] = True
    OFFICIAL: ClassVar[Official] = Official(
        "distance",
        "all",
        scale=0.8,
        note=NOTE.format(
            "All frames but NYU's, train and test; of each place of SUN3D one, which the file"
            " system chose for them: here the first by name."
        ),
    )
