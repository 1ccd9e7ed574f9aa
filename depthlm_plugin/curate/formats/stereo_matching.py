"""Disparities of stereo pairs by OpenCV, and whether a pair is one: rectified, left and right."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ConfigError, RecordError
from ...geometry.arrays import Floats, Pixels
from .stereo_calibration import Calibrated, Rectified

ROWS_PX = 1.0
"""By how many rows the two pictures of a rectified pair may differ: the median of features."""

_FEATURES, _FEWEST = 2000, 30  # looked for in a picture; matched, to say anything of the pair
_BITS = 48  # of 256 in which descriptors of one place may differ
_SECOND = 0.8  # times the distance of the second best match, that the best must be below
_BLOCK_PX = 5
_UNIQUE_PERCENT = 10
_SLOPE = 63  # up to which gradients count; OpenCV's 15 locks disparities to whole pixels
_SPECKLE_PX = 200  # pixels of the smallest surface that is believed
_AGREE_PX = 1.0  # left to right and back
_JUMP_PX = 2.0  # between neighbours, that is an edge of depth
_REACH_PX = _BLOCK_PX  # of a block over an edge, which it blurs
_NO_PX = 1e9  # more than any disparity
_FLAT = 4  # grey levels: less contrast along rows within that reach is noise

Maps = tuple[NDArray[np.float32], NDArray[np.float32]]


def opencv() -> Any:
    """Return the module `cv2`.

    Raises:
        ConfigError: Without OpenCV, the optional extra `lens`.
    """
    try:
        import cv2
    except ImportError as error:
        raise ConfigError(
            f"matching stereo pairs needs OpenCV, which cannot be imported ({error}):"
            ' pip install "depthlm-plugin[lens]"'
        ) from error
    return cv2


@lru_cache(maxsize=4)
def rectification(pair: Calibrated, size_wh: tuple[int, int]) -> tuple[Rectified, Maps, Maps]:
    """Return what a calibrated pair is once it is rectified, and the maps that rectify it.

    All pixels of rectified pictures were seen (`alpha=0`).

    Args:
        pair: The calibration.
        size_wh: Size of the pictures, before and after.

    Raises:
        ValueError: For a calibration that OpenCV refuses.
    """
    cv2 = opencv()
    m1, d1, m2, d2, rotation, shift = (np.array(values) for values in pair.matrices)
    m1, m2, rotation = m1.reshape(3, 3), m2.reshape(3, 3), rotation.reshape(3, 3)
    shift = shift.reshape(3, 1)
    try:
        r1, r2, p1, p2, *_ = cv2.stereoRectify(
            m1, d1, m2, d2, size_wh, rotation, shift, flags=cv2.CALIB_ZERO_DISPARITY, alpha=0
        )
        left = cv2.initUndistortRectifyMap(m1, d1, r1, p1[:, :3], size_wh, cv2.CV_32FC1)
        right = cv2.initUndistortRectifyMap(m2, d2, r2, p2[:, :3], size_wh, cv2.CV_32FC1)
    except cv2.error as error:
        raise ValueError(f"OpenCV refuses it: {error}") from error
    rectified = Rectified(
        float(p1[0, 0]),
        float(p1[1, 1]),
        float(p1[0, 2]),
        float(p1[1, 2]),
        float(-p2[0, 3] / p2[0, 0]),
        float(p2[0, 2] - p1[0, 2]),
    )
    return rectified, left, right


def rectify(pixels: Pixels, maps: Maps) -> Pixels:
    """Return a picture (H, W, 3) resampled once, bicubic, by one of `rectification`'s maps."""
    cv2 = opencv()
    result: Pixels = cv2.remap(pixels, *maps, cv2.INTER_CUBIC)
    return result


def check_pair(left: Pixels, right: Pixels, doffs_px: float, where: str) -> bool:
    """Refuse a pair whose rows differ, or whose left picture is the right one.

    Args:
        left: The left picture (H, W), grey.
        right: The right one.
        doffs_px: What is added to disparities.
        where: What to name in errors.

    Returns:
        Whether there were features enough to say so.

    Raises:
        RecordError: `not rectified`, `swapped pair`.
    """
    cv2 = opencv()
    # One scale only: places are whole pixels then, and so are the rows of what is level.
    finder = cv2.ORB_create(nfeatures=_FEATURES, nlevels=1)
    (places, one), (others, two) = (finder.detectAndCompute(grey, None) for grey in (left, right))
    if min(len(places), len(others)) < _FEWEST:
        return False
    matcher = cv2.BFMatcher(cv2.NORM_HAMMING)
    back = {match.queryIdx: match.trainIdx for match in matcher.match(two, one)}
    moves = np.array(
        [
            np.subtract(places[best.queryIdx].pt, others[best.trainIdx].pt)
            for best, second in matcher.knnMatch(one, two, k=2)
            if best.distance <= min(_BITS, _SECOND * second.distance)
            and back.get(best.trainIdx) == best.queryIdx
        ]
    )
    if len(moves) < _FEWEST:
        return False
    rows_px = float(np.median(np.abs(moves[:, 1])))
    if rows_px > ROWS_PX:
        raise RecordError(
            "not rectified",
            where,
            f"what the left picture shows is {rows_px:.1f} rows away in the right one (median of"
            f" {len(moves)} features, at most {ROWS_PX:g}); give the calibration that rectifies"
            " them (M1, D1, M2, D2, R, T), or, where it did, the one of these pictures",
        )
    disparity_px = float(np.median(moves[:, 0])) + doffs_px
    if disparity_px < -0.5:
        raise RecordError(
            "swapped pair",
            where,
            f"disparities are negative (median {disparity_px:.1f} px of {len(moves)} features): the"
            " left picture is the right one; exchange --option left= and right=",
        )
    return True


def match(
    left: Pixels, right: Pixels, least_px: int, count_px: int, where: str
) -> tuple[Floats, dict[str, int]]:
    """Return the disparities (H, W) of the left picture, NaN where none is believed.

    Semi-global matching (Hirschmueller 2008) from left to right and from right to left.

    Args:
        left: The left picture (H, W), grey.
        right: The right one.
        least_px: The least disparity.
        count_px: How many there are, a multiple of 16.
        where: What to name in errors.

    Returns:
        Disparities, pixels, and how many pixels were left out, by reason.

    Raises:
        RecordError: `cannot be matched`.
    """
    cv2 = opencv()
    matcher = cv2.StereoSGBM_create(
        minDisparity=least_px,
        numDisparities=count_px,
        blockSize=_BLOCK_PX,
        P1=8 * _BLOCK_PX**2,
        P2=32 * _BLOCK_PX**2,
        preFilterCap=_SLOPE,
        uniquenessRatio=_UNIQUE_PERCENT,
        mode=cv2.STEREO_SGBM_MODE_SGBM_3WAY,  # on rendered rooms as exact as the others, or more
    )

    def run(one: Pixels, other: Pixels) -> Floats:
        # OpenCV leaves out columns from which the largest disparity would leave the picture.
        before, after = max(least_px + count_px, 0), max(-least_px, 0)
        wide = [
            cv2.copyMakeBorder(grey, 0, 0, before, after, cv2.BORDER_REPLICATE)
            for grey in (one, other)
        ]
        try:
            raw = matcher.compute(*wide)
        except cv2.error as error:
            raise RecordError(
                "cannot be matched", where, f"OpenCV's StereoSGBM refuses the pair: {error}"
            ) from error
        raw, _ = cv2.filterSpeckles(raw, (least_px - 1) * 16, _SPECKLE_PX, 16)[:2]
        part = raw[:, before : before + one.shape[1]].astype(np.float64) / 16
        return np.where(part < least_px, np.nan, part)

    found = run(left, right)
    mirrored = (np.ascontiguousarray(picture[:, ::-1]) for picture in (right, left))
    back = run(*mirrored)[:, ::-1]
    width = left.shape[1]
    rows, columns = np.indices(found.shape)
    margin = _BLOCK_PX // 2
    landing = columns - np.nan_to_num(found)
    inside = (landing >= margin) & (landing <= width - 1 - margin)
    landed = np.clip(np.rint(landing), 0, width - 1).astype(np.int64)
    agrees = np.abs(back[rows, landed] - found) <= _AGREE_PX
    matched = np.isfinite(found)
    textured = _contrast(left) >= _FLAT
    good = matched & inside & agrees & textured
    kernel = np.ones((3, 3), np.uint8)
    high = cv2.dilate(np.where(good, found, -_NO_PX), kernel, borderType=cv2.BORDER_REPLICATE)
    low = cv2.erode(np.where(good, found, _NO_PX), kernel, borderType=cv2.BORDER_REPLICATE)
    unsure = (high - low > _JUMP_PX) | ~good
    reach = np.ones((2 * _REACH_PX + 1,) * 2, np.uint8)
    calm = cv2.dilate(unsure.astype(np.uint8), reach) == 0
    margins = np.zeros_like(calm)
    margins[margin:-margin, margin:-margin] = True
    dropped = {
        "without a match": ~matched,
        "outside the right picture": matched & ~inside,
        "not the same from right to left": matched & inside & ~agrees,
        "without texture": matched & inside & agrees & ~textured,
        "beside those or an edge of depth": good & ~(calm & margins),
    }
    return np.where(good & calm & margins, found, np.nan), {
        reason: int(mask.sum()) for reason, mask in dropped.items()
    }


def _contrast(grey: Pixels) -> Pixels:
    """Return the largest difference (H, W) along the rows around each pixel, grey levels."""
    cv2 = opencv()
    row, column = (np.ones(shape, np.uint8) for shape in ((1, 2 * _REACH_PX + 1), (_BLOCK_PX, 1)))
    result: Pixels = cv2.dilate(cv2.dilate(grey, row) - cv2.erode(grey, row), column)
    return result
