"""Raw records: their JSON text, the numbers in it, and keys that nobody would read."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from difflib import get_close_matches
from functools import lru_cache
from itertools import chain
from typing import Any

import numpy as np

from ..errors import RecordError
from ..geometry.arrays import Floats

# Keys that decide metres: another key that looks like one of them is a mistake.
_DECISIVE = (
    *("image", "image_path", "images", "intrinsics", "distortion", "pixel_coords", "depth"),
    *("depth_kind", "at_edge", "pose", "relative_pose", "unusual"),
)
_KNOWN = frozenset([*_DECISIVE, "scene", "timestamp", "camera", "source", "id"])

_METRES_ONLY = "depths are metres: convert them and take the key out"
_IN_DISTORTION = (
    "the lens belongs into 'distortion', as OpenCV's [k1, k2, p1, p2] or as"
    ' {"model": "fisheye", "coefficients": [k1, k2, k3, k4]}'
)
_IN_KIND = "say 'depth_kind': 'distance' or 'z' instead"
_MEANINGS = {  # without capitals, signs and spaces
    **dict.fromkeys(
        [
            *("unit", "units", "depthunit", "depthunits", "depthscale", "depthfactor"),
            *("scaledepth", "pngdepthscale", "depthscalefactor", "unitdepth", "depthshift"),
        ],
        _METRES_ONLY,
    ),
    **dict.fromkeys(
        [
            *("distcoeffs", "distcoef", "distcoeff", "distcoefs", "distortioncoefficients"),
            *("distortioncoeffs", "distortionmodel", "distortionparams", "lens", "lensmodel"),
            *("fisheye", "undistort", "k1"),
        ],
        _IN_DISTORTION,
    ),
    **dict.fromkeys(["depthtype", "typeofdepth", "depthmode", "kindofdepth"], _IN_KIND),
}
_METRE_WORDS = frozenset(["m", "metre", "metres", "meter", "meters", "1", "1.0"])
# Letters of other scripts that look like those of the keys.
_LOOKALIKES = str.maketrans("аеорсухіѕԁһнᴛтɡαονερικηɩı", "aeopcyxisdhhttgaovepiknii")
_NEAR = 0.86


def parse_row(text: str, where: str) -> dict[str, Any]:
    """Return the record in a row's JSON text.

    Raises:
        RecordError: `malformed record`, for a key that is there twice too.
    """
    try:
        raw = json.loads(text, object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise RecordError(
            "malformed record", where, f"not valid JSON ({error}); is the file complete?"
        ) from error
    if not isinstance(raw, dict):
        raise RecordError("malformed record", where, "expected a JSON object with one record")
    return raw


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object of these pairs, as a hook of `json.loads` that refuses a repeated key.

    Raises:
        ValueError: For a key that is there twice.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r} is there twice")
    return found


def check_keys(raw: Mapping[str, Any], where: str) -> None:
    """Refuse keys that look like one that decides metres, but would be ignored.

    Raises:
        RecordError: `unknown key`, with the nearest one or what to do.
    """
    for key in raw.keys() - _KNOWN:
        problem = _problem(key) if raw[key] is not None else None
        if problem is None or (problem == _METRES_ONLY and str(raw[key]).lower() in _METRE_WORDS):
            continue
        raise RecordError("unknown key", where, f"key {key!a} is not read: {problem}")


@lru_cache(maxsize=1024)
def _problem(key: str) -> str | None:
    plain = _folded(key)
    if plain in _MEANINGS:
        return _MEANINGS[plain]
    decisive = {_folded(name): name for name in _DECISIVE}
    close = get_close_matches(plain, decisive, n=1, cutoff=_NEAR)
    return f"did you mean {decisive[close[0]]!r}? Otherwise rename it" if close else None


def _folded(key: str) -> str:
    text = unicodedata.normalize("NFKC", key).casefold().translate(_LOOKALIKES)
    return "".join(letter for letter in text if letter.isalnum())


def numbers(
    raw: Mapping[str, Any], key: str, where: str, no_numbers: tuple[type, ...] = (bool,)
) -> Floats:
    """Return what a record holds under `key`, of any shape; null becomes NaN.

    Raises:
        RecordError: `malformed record` where it is missing, ragged, or holds anything but numbers:
            texts of digits and true or false are none.
    """
    value = raw.get(key)
    if value is None:
        raise RecordError("malformed record", where, f"key {key!r} is missing")
    try:
        _check_types(value, no_numbers)
        return np.array(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise RecordError(
            "malformed record", where, f"{key!r} must hold numbers only ({error})"
        ) from error


def _check_types(value: Any, no_numbers: tuple[type, ...]) -> None:
    """Refuse values that NumPy would turn into numbers, though they are none."""
    level = [value]
    while level:
        types = set(map(type, level))
        if types <= _PLAIN:
            return
        if not types <= _LISTS:
            for kind in types:
                if kind in no_numbers or not issubclass(kind, _NUMBERS):
                    raise ValueError(f"found {next(one for one in level if type(one) is kind)!r}")
            level = [one for one in level if isinstance(one, (list, tuple, np.ndarray))]
            if any(one.dtype.kind not in "iufO" for one in level if isinstance(one, np.ndarray)):
                raise ValueError("found arrays of something else")
            level = [one for one in level if getattr(one, "dtype", np.dtype("O")).kind == "O"]
        level = list(chain.from_iterable(level))


_PLAIN = {int, float, type(None)}
_LISTS = {list, tuple}
_NUMBERS = (int, float, type(None), list, tuple, np.ndarray, np.integer, np.floating)
