"""Calibrations of stereo pairs: OpenCV's matrices, KITTI's projections, Middlebury's calib.txt."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np

from ...errors import RecordError
from ...geometry.arrays import Floats

BASELINE_M = (0.005, 3.0)
"""Baselines of stereo cameras that people have, metres; outside, the unit is another."""

_CENTRES_PX = 0.5  # by how much the rows of two rectified principal points may differ
_NUMBER = r"[-+.\deE]+"
_MATRIX = (
    re.compile(  # as cv::FileStorage writes one, in YAML and in XML; nd of one row is OpenCV 5
        r"^[ \t]*(\w+): *!!opencv-(?:nd-)?matrix\n(?:.*\n){2,3}?[ \t]*data: *\[([^\]]*)\]"
        r"|<(\w+) type_id=\"?opencv-(?:nd-)?matrix\"?>(?:\s*<\w+>[^<]*</\w+>){2,3}?"
        r"\s*<data>([^<]*)</data>",
        re.MULTILINE,
    )
)
_PROJECTION = re.compile(rf"^P(?:_rect_0)?([0-3]):((?:[ \t]+{_NUMBER}){{12}})[ \t]*$", re.MULTILINE)
_VALUE = re.compile(r"^(cam0|cam1|doffs|baseline|ndisp)=\[?([^\]\n]*)\]?\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Rectified:
    """A rectified pair: z = focal_px * baseline_m / (disparity + doffs_px), in the left picture.

    Attributes:
        focal_px: Focal length along x of both pictures.
        fy_px: Focal length along y of the left one.
        cx: Principal point of the left one, column, where integers are pixel centres.
        cy: Its row.
        baseline_m: By how much the right camera stands to the right, metres.
        doffs_px: Principal point of the right picture less that of the left, columns.
        most_px: The largest disparity, where the calibration states it.
    """

    focal_px: float
    fy_px: float
    cx: float
    cy: float
    baseline_m: float
    doffs_px: float = 0.0
    most_px: int | None = None


@dataclass(frozen=True)
class Calibrated:
    """A pair that is to be rectified: OpenCV's stereo calibration, x2 = R x1 + T.

    Attributes:
        matrices: M1, D1, M2, D2, R and T, each row by row; T in metres.
    """

    matrices: tuple[tuple[float, ...], ...]

    @property
    def baseline_m(self) -> float:
        """How far apart the cameras are, metres; negative where the first is the right one."""
        rotation, shift = np.reshape(self.matrices[4], (3, 3)), np.array(self.matrices[5])
        return float(np.copysign(np.linalg.norm(shift), -(rotation.T @ shift)[0]))

    def scaled(self, scale: float) -> Calibrated:
        """Return the calibration with T in another unit."""
        shift = tuple(scale * value for value in self.matrices[5])
        return replace(self, matrices=(*self.matrices[:5], shift))


def read_calibration(
    text: str, cameras: tuple[int, int] | None, baseline_m: float | None, where: str
) -> Rectified | Calibrated:
    """Return the calibration of a pair.

    Args:
        text: Of the file, or of several that belong together. Matrices as OpenCV writes them, M1,
            D1, M2, D2, R and T, or of rectified pictures P1 and P2, or Q; KITTI's lines `P2: ...`
            or `P_rect_02: ...`; Middlebury's `cam0=[...]`.
        cameras: Numbers of the left and right camera in KITTI's lines; None: the two that there
            are.
        baseline_m: The baseline where that of the text is in another unit, metres.
        where: What to name in errors.

    Raises:
        RecordError: `bad calibration`, `implausible baseline`, `swapped pair`.
    """
    try:
        found = _read(text, cameras)
        if not np.isfinite(found.baseline_m) or not found.baseline_m:
            raise ValueError(f"its baseline is {found.baseline_m:g}")
    except (ValueError, KeyError, IndexError) as error:
        raise RecordError(
            "bad calibration",
            where,
            f"no calibration of a stereo pair can be read ({error}); expected OpenCV's M1, D1, M2,"
            " D2, R, T, or P1, P2, or Q; KITTI's P2: and P3:; Middlebury's cam0=, cam1=, doffs=,"
            " baseline=",
        ) from error
    return check_baseline(found, baseline_m, where)


def check_baseline(
    pair: Rectified | Calibrated, baseline_m: float | None, where: str
) -> Rectified | Calibrated:
    """Return a calibration with the baseline that was given, which is that of a stereo camera.

    Raises:
        RecordError: `implausible baseline`, `swapped pair`.
    """
    if pair.baseline_m < 0:
        raise RecordError(
            "swapped pair",
            where,
            f"the camera of the left pictures stands {-pair.baseline_m:g} to the right of the other"
            " in the calibration; exchange --option left= and right=",
        )
    if baseline_m is not None and isinstance(pair, Rectified):
        pair = replace(pair, baseline_m=baseline_m)
    elif baseline_m is not None and isinstance(pair, Calibrated):
        pair = pair.scaled(baseline_m / pair.baseline_m)
    if not BASELINE_M[0] <= pair.baseline_m <= BASELINE_M[1]:
        raise RecordError(
            "implausible baseline",
            where,
            f"the baseline is {pair.baseline_m:g} m, expected {BASELINE_M[0]:g} to"
            f" {BASELINE_M[1]:g}; is it in millimetres, or in squares of a chessboard? Give it in"
            " metres: --option baseline=0.12",
        )
    return pair


def _read(text: str, cameras: tuple[int, int] | None) -> Rectified | Calibrated:
    matrices = _opencv(text)
    names = ("M1", "D1", "M2", "D2", "R", "T")
    if "M1" in matrices:
        sizes = (9, None, 9, None, 9, 3)
        for name, size in zip(names, sizes, strict=True):
            if name not in matrices:
                raise ValueError(f"there is M1 but no {name}")
            if matrices[name].size != size and size is not None:
                raise ValueError(f"{name} has {matrices[name].size} numbers, not {size}")
            if not np.isfinite(matrices[name]).all():
                raise ValueError(f"{name} has numbers that are not finite")
        pair = Calibrated(tuple(tuple(matrices[name].tolist()) for name in names))
        shift = np.abs(matrices["R"].reshape(3, 3).T @ matrices["T"])
        if shift[0] < shift[1] or shift[0] < shift[2]:
            raise ValueError("its cameras do not stand side by side, as T says")
        return pair
    if "P1" in matrices and "P2" in matrices:
        return _projected(matrices["P1"], matrices["P2"])
    if "Q" in matrices:
        q = matrices["Q"].reshape(4, 4)
        focal, baseline = float(q[2, 3]), 1 / float(q[3, 2]) if q[3, 2] else 0.0
        return Rectified(
            focal, focal, -float(q[0, 3]), -float(q[1, 3]), baseline, float(q[3, 3]) * baseline
        )
    lines = {
        int(number): np.array(values.split(), np.float64)
        for number, values in _PROJECTION.findall(text)
    }
    if lines:
        if cameras is None and len(lines) != 2:
            raise ValueError(
                f"it has P{', P'.join(map(str, sorted(lines)))}, and the pictures are not in"
                " image_2 and image_3 or the like, which would say which two"
            )
        first, second = cameras or sorted(lines)
        return _projected(lines[first], lines[second])
    return _middlebury(dict(_VALUE.findall(text)))


def _opencv(text: str) -> dict[str, Floats]:
    """Return the numbers (N,) of matrices by their names."""
    found = {}
    for name, data, name_xml, data_xml in _MATRIX.findall(text.replace("\r\n", "\n")):
        numbers = (data or data_xml).replace(",", " ").split()
        found[name or name_xml] = np.array(numbers, np.float64)
    return found


def _projected(left: Floats, right: Floats) -> Rectified:
    left, right = left.reshape(3, 4), right.reshape(3, 4)
    focal = float(left[0, 0])
    if not (np.isfinite(left).all() and np.isfinite(right).all() and focal > 0):
        raise ValueError(f"its focal length is {focal:g}")
    if abs(right[0, 0] / focal - 1) > 1e-3 or abs(right[1, 2] - left[1, 2]) > _CENTRES_PX:
        raise ValueError("its two projections are not those of rectified pictures")
    return Rectified(
        focal,
        float(left[1, 1]),
        float(left[0, 2]),
        float(left[1, 2]),
        float(left[0, 3] - right[0, 3]) / focal,
        float(right[0, 2] - left[0, 2]),
    )


def _middlebury(values: dict[str, str]) -> Rectified:
    """Return the calibration of a `calib.txt`, whose baseline is in millimetres by its format."""
    if not values:
        raise ValueError("it has none of their names")
    left = np.array(values["cam0"].replace(";", " ").split(), np.float64).reshape(3, 3)
    return Rectified(
        float(left[0, 0]),
        float(left[1, 1]),
        float(left[0, 2]),
        float(left[1, 2]),
        float(values["baseline"]) / 1000,
        float(values["doffs"]),
        int(values["ndisp"]) if "ndisp" in values else None,
    )
