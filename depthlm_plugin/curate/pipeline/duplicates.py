"""Near-identical pictures of one scene, such as a video of a camera that stands still gives."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_SIDE = 16  # of the hash: 16 x 16 comparisons
_WORDS = _SIDE * _SIDE // 64
_MOST_BITS = 10  # of 256: JPEG and noise turned up to 8, a shift by 1 % of the width 14 to 45
_FLAT_BITS = 32  # fewer are set, or not set
_NEAR_M = 0.05
_NEAR_DEG = 2.0
# The Frobenius norm of the difference of two rotations by that angle from each other.
_NEAR_TURN = 2 * math.sqrt(2) * math.sin(math.radians(_NEAR_DEG) / 2)
_MOST_KEPT = 4096  # of a scene that are compared with; the oldest is forgotten first
REASON = "near-duplicate"
RULE = (
    f"like one before in its scene: at most {_MOST_BITS} of {_SIDE**2} bits of their difference"
    f" hashes differ and, where both have a pose, their places by at most {_NEAR_M:g} m and their"
    f" directions by {_NEAR_DEG:g} degrees; a frame is compared with the last {_MOST_KEPT} of its"
    " scene that are not like one before (frames without a scene are compared as one scene)"
)


@dataclass(frozen=True, slots=True)
class View:
    """What of a record is compared with others of its scene.

    Attributes:
        bits: Its picture's hash, hexadecimal, see `picture_hash`.
        scene: Its scene's name, if it has one.
        pose: Camera to world, the first three rows (12 numbers), metres; None: not known.
    """

    bits: str
    scene: str | None = None
    pose: list[float] | None = None

    def to_json(self) -> list[Any]:
        """Return plain values from which `View(*values)` makes an equal one."""
        return [self.bits, self.scene, self.pose]


def bits_apart(one: View, other: View) -> int:
    """Return in how many of 256 bits the hashes of two pictures differ."""
    return (int(one.bits, 16) ^ int(other.bits, 16)).bit_count()


def is_flat(view: View) -> bool:
    """Return whether a picture hardly varies from left to right, as a white wall."""
    bits = int(view.bits, 16).bit_count()
    return not _FLAT_BITS <= bits <= _SIDE**2 - _FLAT_BITS


def picture_hash(picture: Image.Image) -> str:
    """Return 256 bits of a decoded picture, of any size and mode, hexadecimal.

    A bit says whether a cell of a 16x17 grid is darker than its right neighbour (a difference
    hash): whatever changes the picture a little, such as its encoding, noise, size or exposure,
    changes few of them.
    """
    deep = picture.mode.startswith("I")  # 16-bit greyscale, of which Pillow makes no RGB
    if not deep and picture.mode not in ("RGB", "L"):
        picture = picture.convert("RGB")
    grid = picture.resize((_SIDE + 1, _SIDE), Image.Resampling.BOX)
    grey = (np.asarray(grid, np.int64) + 128) >> 8 if deep else np.asarray(grid.convert("L"))
    return np.packbits(grey[:, :-1] < grey[:, 1:]).tobytes().hex()


@dataclass
class _Scene:
    """The views of a scene that are compared with, in arrays that grow."""

    count: int = 0
    words: NDArray[np.uint64] = field(default_factory=lambda: np.zeros((4, _WORDS), np.uint64))
    poses: NDArray[np.float32] = field(default_factory=lambda: np.zeros((4, 3, 4), np.float32))

    def add(self, words: NDArray[np.uint64], pose: NDArray[np.float32]) -> None:
        if self.count == len(self.words) < _MOST_KEPT:
            self.words = np.concatenate([self.words, np.zeros_like(self.words)])
            self.poses = np.concatenate([self.poses, np.zeros_like(self.poses)])
        self.words[self.count % len(self.words)] = words
        self.poses[self.count % len(self.poses)] = pose
        self.count += 1

    def has_one_like(self, words: NDArray[np.uint64], pose: NDArray[np.float32]) -> bool:
        bits = np.bitwise_count(self.words[: self.count] ^ words).sum(axis=1)
        near = self.poses[: self.count][bits <= _MOST_BITS] - pose
        # NaN, where a pose is not known, is not farther than anything.
        moved = np.linalg.norm(near[:, :, 3], axis=1) > _NEAR_M
        turned = np.linalg.norm(near[:, :, :3], axis=(1, 2)) > _NEAR_TURN
        return not (moved | turned).all()


class Seen:
    """The views of the frames before, in the order of the dataset."""

    def __init__(self) -> None:
        self._scenes: defaultdict[str | None, _Scene] = defaultdict(_Scene)

    def repeats(self, view: View) -> bool:
        """Return whether a frame is a near-duplicate (`RULE`); else remember it for those after."""
        scene = self._scenes[view.scene]
        words = np.frombuffer(bytes.fromhex(view.bits), np.uint64)
        pose = np.full((3, 4), np.nan, np.float32)
        if view.pose is not None:
            pose = np.array(view.pose, np.float32).reshape(3, 4)
        if scene.has_one_like(words, pose):
            return True
        scene.add(words, pose)
        return False
