"""Anyone's stereo pairs: depth by OpenCV's semi-global matching, with a stated error."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image

from ...errors import ConfigError, DepthLMError, RecordError
from ...geometry.arrays import Pixels
from ...views.decode import image_size, load_rgb
from ..formats.files import named
from ..formats.folder_camera import camera_of
from ..formats.pairing import fill, find_pattern, pairs
from ..formats.stereo_calibration import Calibrated, Rectified, check_baseline, read_calibration
from ..formats.stereo_matching import check_pair, match, opencv, rectification, rectify
from ..frames import Frame, Item
from ..reading import Reader, missing

_SIDES = (
    ("left", "right"),
    *(("image_2", "image_3"), ("image_02", "image_03")),
    *(("image_0", "image_1"), ("image_00", "image_01")),
    ("im0", "im1"),
)
_CALIBRATIONS = (
    *("calib.txt", "calib/*.txt", "calib_cam_to_cam.txt"),
    *("stereo.yml", "stereo.yaml", "stereo.xml", "intrinsics.yml,extrinsics.yml"),
)
_MOST_BYTES = 1 << 20  # of a calibration
_ERROR_PX = 0.5  # of a disparity that is believed: the card's rule
_NUMBERED = re.compile(r"image_0?([0-3])(?!\d)")  # KITTI's cameras


@dataclass(frozen=True)
class Stereo(Reader):
    """Stereo pairs, rectified or with their calibration: depth by semi-global matching.

    Source: your own recording, or any dataset of pairs in such a layout (KITTI, Middlebury).
    Pictures in `left/` and `right/`, `image_2/` and `image_3/`, `image_0/` and `image_1/`, or
    `im0.png` beside `im1.png`, of the root or of every folder in it (one a scene); elsewhere:
    `--option left=*_left.png` `--option right=*_right.png`. Two pictures are a pair by the same
    name, of patterns by the same text in place of the stars.

    Licence: yours to state.

    Camera: that of the left picture, rectified. `calib.txt`, `calib/<picture>.txt`,
    `calib_cam_to_cam.txt`, `stereo.yml` (`.yaml`, `.xml`) or `intrinsics.yml` with
    `extrinsics.yml`, of the scene's folder or the root, or `--option calib=FILE`, with stars for
    one a picture and a comma between two files. OpenCV's M1, D1, M2, D2, R and T (pinholes with
    its polynomials, no fisheyes) mean that pictures are not rectified: they are, with alpha=0, and
    the left one is written. OpenCV's P1 and P2, or Q, KITTI's `P2:` and `P3:`, Middlebury's `cam0=`
    and rectified pairs with `--option f=... --option baseline=...` (pixels, metres; `cx=`, `cy=`,
    or the middle is assumed and records say so) are used as they are. Integers are pixel centres.
    `baseline=` also replaces that of a calibration in another unit; one outside 5 mm to 3 m is
    refused.

    Depth: z = f B / (disparity + doffs), computed by OpenCV's StereoSGBM (blocks of 5 px,
    sub-pixel, uniqueness 10 %), for disparities + doffs up to a quarter of the width (`ndisp` of
    Middlebury's file). Left out are pixels without a match, those whose match from right to left is
    over 1 px away, what the right picture does not show, surfaces under 200 px, places without
    contrast (under 4 of 255 along 11 px), and 5 px beside all of these and beside jumps of over
    2 px. A disparity is taken to be right to 0.5 px, so that z is to z^2 / (f B) * 0.5 px; pixels
    whose error is more than 5 % of z (`--option max_error=0.05`) are left out: farther than
    f B / 10 px. Where a surface repeats itself, or has hardly any texture, errors can be larger.

    Units: those of the baseline, metres; Middlebury's file states millimetres.

    Invalid: what is left out. Pairs are refused, and counted, whose halves differ in size or lack
    one another, or whose ORB features, in the median, are over 1 row apart (not rectified) or move
    the wrong way (left and right are exchanged).

    Split: none; use `depthlm split`. The scene is the folder, or the name of the root.
    """

    left: str | None = None
    right: str | None = None
    calib: str | None = None
    f: float | None = None
    baseline: float | None = None
    cx: float | None = None
    cy: float | None = None
    max_error: float = 0.05

    STORED_DEPTH: ClassVar[str] = "computed, m"

    def items(self) -> Iterator[Item]:
        """Yield the pairs, and halves that have no other, to be counted."""
        self._check_options()
        if not self.root.is_dir():
            raise missing(self.root, "stereo pairs", "left and right pictures")
        opencv()
        found = [
            (
                find_pattern(self.root, self.left, (one,)),
                find_pattern(self.root, self.right, (two,)),
            )
            for one, two in _SIDES
        ]
        left, right = next((pair for pair in found if all(pair)), (None, None))
        if left is None or right is None:
            places = f"{self.left} and {self.right}" if self.left else ", ".join(
                f"{one}/ and {two}/" for one, two in _SIDES
            )  # fmt: skip
            raise missing(
                self.root,
                "stereo pairs",
                f"pictures in {places} (--option left=, right= say where)",
            )
        paired = pairs(self.root, left, right)
        if not any(partner for _, _, partner in paired):
            raise DepthLMError(
                f"--root {self.root}: none of {len(paired)} pictures of {left} has one of {right}"
                f" with the same name, as {paired[0][1]}; give --option left= and right= with stars"
                " where the names agree"
            )
        alone = [
            (stars, None, path)
            for stars, path, partner in pairs(self.root, right, left)
            if partner is None
        ]
        for stars, one, two in sorted([*paired, *alone]):
            scene = stars[:-1] if "*" in left.rpartition("/")[2] else stars
            path = one or two
            assert path is not None
            yield Item("/".join(stars) or Path(path).stem, (stars, "/".join(scene), one, two))

    def load(self, item: Item) -> Frame:
        """Return the left picture with the depth map that its pair gives."""
        where = f"stereo {item.frame_id}"
        stars, scene, *names = item.at
        for name, partner in (names, names[::-1]):
            if name is None:
                raise RecordError("missing half", where, f"{partner} has no other of its name")
        paths = [self.below(self.root / name, where) for name in names]
        size_wh, other_wh = (image_size(str(path), where) for path in paths)
        if size_wh != other_wh:
            raise RecordError(
                "sizes differ",
                where,
                f"the left picture is {size_wh[0]}x{size_wh[1]}, the right one"
                f" {other_wh[0]}x{other_wh[1]}",
            )
        pair = self._calibration(stars, names, size_wh, where)
        pictures = [np.asarray(load_rgb(str(path), where)) for path in paths]
        image: Path | bytes = paths[0]
        if not isinstance(pair, Rectified):
            try:
                pair, *maps = rectification(pair, size_wh)
            except ValueError as error:
                raise RecordError("bad calibration", where, str(error)) from error
            pictures = [rectify(*both) for both in zip(pictures, maps, strict=True)]
            image = _png(pictures[0])
        camera = camera_of([pair.focal_px, pair.fy_px, pair.cx, pair.cy], size_wh, "it", where)
        least_px, count_px = _searched(pair, size_wh[0], where)
        left, right = (np.asarray(Image.fromarray(picture).convert("L")) for picture in pictures)
        checked = check_pair(left, right, pair.doffs_px, where)
        disparity_px, dropped = match(left, right, least_px, count_px, where)
        shift_px = disparity_px + pair.doffs_px
        near = shift_px * self.max_error >= _ERROR_PX
        dropped["of a larger error than max_error"] = int((np.isfinite(shift_px) & ~near).sum())
        return Frame(
            image,
            camera,
            "z",
            depth_m=pair.focal_px * pair.baseline_m / np.where(near, shift_px, np.nan),
            scene=scene or self.root.resolve().name,
            dropped={reason: count for reason, count in dropped.items() if count},
            noted=() if checked else ("too few features to tell whether rows and sides agree",),
            extra={"intrinsics_source": "assumed"} if self._assumes() else {},
        )

    def _check_options(self) -> None:
        if (self.left is None) != (self.right is None):
            raise ConfigError("give both --option left= and right=, or neither")
        if self.f is not None and (self.baseline is None or self.calib is not None):
            raise ConfigError(
                "--option f= is the focal length of rectified pairs, in pixels: it needs --option"
                " baseline=, in metres, and no calib="
            )
        if self.f is None and (self.cx is not None or self.cy is not None):
            raise ConfigError("--option cx= and cy= belong to --option f=")
        if self.baseline is not None and not self.baseline > 0:
            raise ConfigError(f"--option baseline={self.baseline:g}: expected metres, over 0")
        if not 0 < self.max_error <= 0.5:
            raise ConfigError(
                f"--option max_error={self.max_error:g}: expected a part of the depth, over 0 and"
                " at most 0.5"
            )

    def _assumes(self) -> bool:
        return self.f is not None and (self.cx is None or self.cy is None)

    def _calibration(
        self, stars: tuple[str, ...], names: list[str], size_wh: tuple[int, int], where: str
    ) -> Rectified | Calibrated:
        if self.f is not None:
            assert self.baseline is not None
            cx, cy = (
                (side - 1) / 2 if centre is None else centre
                for side, centre in zip(size_wh, (self.cx, self.cy), strict=True)
            )
            return check_baseline(Rectified(self.f, self.f, cx, cy, self.baseline), None, where)
        texts = [self._text(path, where) for path in self._files(stars, Path(names[0]), where)]
        numbers = [_NUMBERED.search(name) for name in names]
        cameras = [int(number[1]) for number in numbers if number]
        both = (cameras[0], cameras[1]) if len(cameras) == 2 else None
        return read_calibration("\n".join(texts), both, self.baseline, where)

    def _files(self, stars: tuple[str, ...], left: Path, where: str) -> list[Path]:
        """Return the files of a pair's calibration: those given, or the first of usual names."""
        if self.calib is not None:
            given = self.calib.split(",")
            files = [named(self.root, fill(pattern, stars), where) for pattern in given]
            tried = [files]
        else:
            folders = dict.fromkeys((left.parent, left.parent.parent, Path()))
            tried = [
                [self.root / folder / name.replace("*", left.stem) for name in names.split(",")]
                for names in _CALIBRATIONS
                for folder in folders
            ]
        for files in tried:
            if all(path.is_file() for path in files):
                return files if self.calib else [self.below(path, where) for path in files]
        places = ", ".join(str(path) for files in tried for path in files)
        raise RecordError(
            "no calibration",
            where,
            f"none of {places} exists; give --option calib=FILE, or of rectified pairs --option"
            " f=... --option baseline=... (pixels, metres)",
        )

    @staticmethod
    def _text(path: Path, where: str) -> str:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise RecordError("bad calibration", where, f"{path} is over {_MOST_BYTES} bytes")
        return data.decode("utf-8", "replace")


def _searched(pair: Rectified, width: int, where: str) -> tuple[int, int]:
    """Return the least disparity, and how many are tried: to infinity, and a quarter of the width.

    Raises:
        RecordError: `bad calibration`.
    """
    if not abs(pair.doffs_px) < width or not 0 < (pair.most_px or 1) < width:
        raise RecordError(
            "bad calibration",
            where,
            f"doffs={pair.doffs_px:g} and ndisp={pair.most_px} are not of pictures of {width} px",
        )
    least_px = math.floor(-pair.doffs_px)
    most_px = least_px + width // 4 if pair.most_px is None else pair.most_px
    return least_px, math.ceil((most_px - least_px) / 16) * 16


def _png(pixels: Pixels) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
