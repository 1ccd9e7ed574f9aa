"""The focal length that a photograph's EXIF block tells, or why it tells none that can be used.

Tags, types and units are those of the EXIF standard (CIPA DC-008); the 35 mm equivalent is defined
by the diagonal of the picture (CIPA DCG-001). Units 4 and 5 of the focal plane's resolution,
millimetres and micrometres, are in no standard but in files of common cameras.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

FILM_DIAGONAL_MM = math.hypot(36.0, 24.0)

_FOCAL_MM, _FOCAL_35 = 0x920A, 0xA405
_RESOLUTION_X, _RESOLUTION_Y, _RESOLUTION_UNIT = 0xA20E, 0xA20F, 0xA210
_TAKEN_WIDTH, _TAKEN_HEIGHT = 0xA002, 0xA003
_DIGITAL_ZOOM = 0xA404
_UNITS_MM = {1: 25.4, 2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}  # 1, "none", is written for inches too
_NAMES = {
    _FOCAL_MM: "FocalLength",
    _FOCAL_35: "FocalLengthIn35mmFilm",
    _RESOLUTION_X: "FocalPlaneXResolution",
    _RESOLUTION_Y: "FocalPlaneYResolution",
    _TAKEN_WIDTH: "PixelXDimension",
    _TAKEN_HEIGHT: "PixelYDimension",
}

_FIELDS_DEG = (0.5, 140.0)  # along the longer side, of lenses that keep lines straight
_SENSOR_MM = (1.0, 80.0)  # longer side
_AGREES = 1.1  # the equivalent is rounded to whole millimetres, and definitions differ by 4 %
_SQUARE = 1.02  # ratio of the focal plane's two resolutions
_PANORAMA = 2.5  # ratio of sides


@dataclass(frozen=True)
class ExifFocal:
    """What a photograph's EXIF block says of its focal length.

    Attributes:
        focal_px: Focal length of the stored picture on both axes, pixels; None where it is unknown.
        detail: Which tags it is worked out from, for people; empty where it is unknown.
        problems: What was not used and why, or what could not be checked, for people.
    """

    focal_px: float | None
    detail: str
    problems: tuple[str, ...]


def focal_of(
    tags: Mapping[int, Any], size_wh: tuple[int, int], sensor_width_mm: float | None = None
) -> ExifFocal:
    """Return the focal length that the tags of an EXIF block give a picture.

    A 35 mm equivalent is taken first, then the focal length with the focal plane's resolution; two
    that contradict each other are both left alone. A sensor's width that somebody knows is taken
    before either.

    Args:
        tags: The EXIF block, by tag.
        size_wh: The stored picture's (width, height), pixels.
        sensor_width_mm: Length of the sensor's longer side, if it is known.
    """
    problems: list[str] = []
    shrunk = _shrunk(tags, size_wh, problems)
    if shrunk is None:
        return ExifFocal(None, "", tuple(problems))
    zoom = _zoom(tags, problems)
    found = {}
    if (equivalent := _positive(tags, _FOCAL_35, problems)) is not None:
        focal_px = equivalent * math.hypot(*size_wh) / FILM_DIAGONAL_MM
        found[f"its 35 mm equivalent, {equivalent:g} mm (by the diagonal)"] = focal_px
    if (focal_mm := _positive(tags, _FOCAL_MM, problems)) is not None:
        if zoom != 1:
            problems.append(f"a digital zoom of {zoom:g}: FocalLength is not of the picture alone")
        else:
            found |= _by_resolution(tags, focal_mm, size_wh, shrunk, problems)
        if sensor_width_mm is not None and zoom == 1:
            focal_px = focal_mm * max(size_wh) / sensor_width_mm
            known = f"its focal length, {focal_mm:g} mm, on a sensor of {sensor_width_mm:g} mm"
            found = {known: focal_px} | found
    if sensor_width_mm is not None and (focal_mm is None or zoom != 1):
        problems.append("the sensor's width was not used: there is no FocalLength to use it with")
    found = _plausible(found, size_wh, problems)
    if not found:
        return ExifFocal(None, "", (*problems, "nothing usable tells its focal length"))
    (detail, focal_px), *others = found.items()
    for other, other_px in others:
        if not 1 / _AGREES <= other_px / focal_px <= _AGREES:
            said = f"{detail} is {focal_px:.4g} px, but {other} is {other_px:.4g} px"
            if sensor_width_mm is None:
                return ExifFocal(None, "", (*problems, f"{said}: neither was used"))
            problems.append(said)
    return ExifFocal(focal_px, detail, tuple(problems))


def _shrunk(tags: Mapping[int, Any], size_wh: tuple[int, int], problems: list[str]) -> float | None:
    """Return by which factor a picture was resized since it was taken; None if it was cropped."""
    if max(size_wh) > _PANORAMA * min(size_wh):
        problems.append("{}x{} looks like a panorama, which has no focal length".format(*size_wh))
        return None
    taken = [_positive(tags, tag, problems) for tag in (_TAKEN_WIDTH, _TAKEN_HEIGHT)]
    if taken[0] is None or taken[1] is None:
        problems.append(
            "it does not say the size that the picture was taken at: a crop would go unnoticed"
        )
        return 1.0
    # Programs that turn a picture upright may leave its former size.
    (short, long), (taken_short, taken_long) = sorted(size_wh), sorted((taken[0], taken[1]))
    factor = long / taken_long
    if abs(short - factor * taken_short) <= 1 + max(factor, 0.5):  # whole pixels, rounded or cut
        return factor
    problems.append(
        f"the picture was taken at {taken[0]:g}x{taken[1]:g} and is {size_wh[0]}x{size_wh[1]}: it"
        " was cropped, nobody knows where"
    )
    return None


def _zoom(tags: Mapping[int, Any], problems: list[str]) -> float:
    ratio = _number(tags.get(_DIGITAL_ZOOM))
    if ratio is None or not ratio > 0:  # 0 says that there was none
        return 1.0
    if ratio != 1:
        problems.append(
            f"it says a digital zoom of {ratio:g}; the 35 mm equivalent is taken to include it, as"
            " cameras mostly write it"
        )
    return ratio


def _by_resolution(
    tags: Mapping[int, Any],
    focal_mm: float,
    size_wh: tuple[int, int],
    shrunk: float,
    problems: list[str],
) -> dict[str, float]:
    """Return the focal length by the pixels that a millimetre of the focal plane has, if known."""
    across = _positive(tags, _RESOLUTION_X, problems)
    along = _positive(tags, _RESOLUTION_Y, problems)
    if across is None or along is None:
        return {}
    unit = _number(tags.get(_RESOLUTION_UNIT, 2))
    unit_mm = _UNITS_MM.get(int(unit)) if unit is not None else None
    if unit_mm is None:
        problems.append(f"FocalPlaneResolutionUnit {tags[_RESOLUTION_UNIT]!r} is no unit")
        return {}
    if not 1 / _SQUARE <= across / along <= _SQUARE:
        problems.append(
            f"FocalPlaneXResolution {across:g} and FocalPlaneYResolution {along:g} contradict each"
            " other: pixels are square"
        )
        return {}
    taken_px = max(size_wh) / shrunk
    sensor_mm = taken_px / across * unit_mm
    if not _SENSOR_MM[0] <= sensor_mm <= _SENSOR_MM[1]:
        problems.append(
            f"FocalPlaneXResolution {across:g} a unit of {unit_mm:g} mm makes the sensor"
            f" {sensor_mm:.3g} mm wide, which none is"
        )
        return {}
    name = f"its focal length, {focal_mm:g} mm, on {sensor_mm:.3g} mm (focal plane resolution)"
    return {name: focal_mm * across / unit_mm * shrunk}


def _plausible(
    found: Mapping[str, float], size_wh: tuple[int, int], problems: list[str]
) -> dict[str, float]:
    kept = {}
    for name, focal_px in found.items():
        field_deg = 2 * math.degrees(math.atan(max(size_wh) / (2 * focal_px)))
        if _FIELDS_DEG[0] <= field_deg <= _FIELDS_DEG[1]:
            kept[name] = focal_px
        else:
            problems.append(f"{name} is a field of view of {field_deg:.3g} degrees: not used")
    return kept


def _positive(tags: Mapping[int, Any], tag: int, problems: list[str]) -> float | None:
    """Return a tag's number, or None where it is missing, unknown (0) or absurd."""
    if tag not in tags:
        return None
    number = _number(tags[tag])
    if number is not None and number > 0:
        return number
    stated = "0, unknown" if number == 0 else f"{str(tags[tag])[:40]!r}, no length"
    problems.append(f"{_NAMES[tag]} is {stated}")
    return None


def _number(value: Any) -> float | None:
    """Return what a tag holds as a finite number, or None."""
    if isinstance(value, tuple) and len(value) == 1:
        [value] = value
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return number if math.isfinite(number) else None
