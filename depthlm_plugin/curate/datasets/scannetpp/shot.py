"""Picture, mask and depth of one iPhone frame of ScanNet++, extracted or in their streams."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ....errors import RecordError
from ....geometry.arrays import Floats
from ...formats.files import encode_png, exactly, inside, opened_image, read_depth_png
from ...formats.video import open_video
from .depth_stream import SHAPE_HW, open_depth
from .scene import CAPTURES

SIZE_WH = 1920, 1440
_TAIL = 3  # frames by which the streams of a recording may differ: they stop one after the other
_SHOWN = 128  # masks are 0 or 255, but for what video coding makes of that


def extracted(folder: Path) -> set[int]:
    """Return the frames whose pictures were extracted, of a scan in this folder."""
    names = {path.stem.removeprefix("frame_") for path in (folder / "rgb").glob("frame_*.jpg")}
    return {int(name) for name in names if name.isdecimal()}


def disagreement(path: str, count: int, described: int) -> str | None:
    """Return what is wrong with a stream that has another number of frames than are described."""
    if abs(count - described) <= _TAIL:
        return None
    return (
        f"{path} has {count} frames but {CAPTURES} describes {described}, {_TAIL} more or less are"
        " usual: which are the same is not known; is the download complete?"
    )


def _lowest(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the lowest values (2 H / 15, W) of the rows (H, W) that rows of depth are part of.

    A depth pixel is 7.5 pixels wide: of 15 pixels the one in the middle is part of two.
    """
    pairs = values.reshape(-1, 15, values.shape[1])
    both = np.stack([pairs[:, :8].min(axis=1), pairs[:, 7:].min(axis=1)], axis=1)
    return both.reshape(-1, values.shape[1])


@dataclass(frozen=True)
class Shot:
    """One frame of a scan.

    Attributes:
        root: The dataset's folder, out of which no link leads.
        folder: The scan's `iphone/`.
        number: The frame's number in the scan, from 0.
        described: How many frames the scan's JSON file describes.
        where: What to name in errors.
    """

    root: Path
    folder: Path
    number: int
    described: int
    where: str

    def picture(self) -> Path | bytes:
        """Return the extracted picture, or that of the video as PNG."""
        path = self.folder / "rgb" / f"{self._name}.jpg"
        if path.is_file():
            return path
        pixels = self._video_frame("rgb", "rgb24")
        if pixels is None:
            raise RecordError(
                "missing image",
                self.where,
                f"neither {path} nor a video {self.folder / 'rgb'}.* exists; is the download"
                " complete?",
            )
        return encode_png(pixels)

    def shown(self) -> NDArray[np.bool_]:
        """Return which depth pixels (H, W) are of pixels of which none is anonymised."""
        folder = self.folder / "rgb_masks"
        if folder.is_dir():
            values = self._extracted_mask(folder / f"{self._name}.png")
        elif (frame := self._video_frame("rgb_mask", "gray")) is not None:
            values = frame
        else:
            raise RecordError(
                "missing mask",
                self.where,
                f"neither {folder}/ nor a video {self.folder / 'rgb_mask'}.* exists; without it"
                " anonymised pixels would be labelled",
            )
        width, height = SIZE_WH
        if values.shape != (height, width):
            raise RecordError(
                "bad mask",
                self.where,
                f"the mask is {values.shape[1]}x{values.shape[0]}, expected {width}x{height}",
            )
        return _lowest(_lowest(values).T).T >= _SHOWN

    def z_m(self) -> Floats:
        """Return z (H, W) in metres; 0 or NaN where there is none."""
        folder, path = self.folder / "depth", self.folder / "depth.bin"
        if folder.is_dir():
            path = inside(self.root, folder / f"{self._name}.png", self.where)
            size_wh = SHAPE_HW[1], SHAPE_HW[0]
            return read_depth_png(path, self.where, size_wh) / 1000.0
        if not path.is_file():
            raise RecordError(
                "missing depth",
                self.where,
                f"neither {folder}/ nor {path} exists; is the download complete?",
            )
        inside(self.root, path, self.where)
        try:
            stream = open_depth(str(path))
            self._check_count(path, len(stream))
            return stream.read(self.number)
        except ValueError as error:
            raise RecordError("bad depth stream", self.where, f"{path} {error}") from error

    @property
    def _name(self) -> str:
        return f"frame_{self.number:06d}"

    def _extracted_mask(self, path: Path) -> NDArray[np.uint8]:
        inside(self.root, path, self.where)
        if not path.is_file():
            raise RecordError(
                "missing mask", self.where, f"{path} does not exist; extract the masks again"
            )
        check = exactly(SIZE_WH, "bad mask", self.where, path)
        with opened_image(path, "bad mask", self.where, str(path), check) as image:
            return np.asarray(image.convert("L"))

    def _video_frame(self, stem: str, pixel_format: str) -> NDArray[np.uint8] | None:
        """Return the frame of a video, or None where there is no video of that name."""
        path = min(self.folder.glob(f"{stem}.*"), default=None)
        if path is None:
            return None
        inside(self.root, path, self.where)
        try:
            video = open_video(str(path))
            self._check_count(path, len(video))
            return video.read(self.number, pixel_format)
        except ValueError as error:
            raise RecordError("bad video", self.where, f"{path} {error}") from error

    def _check_count(self, path: Path, count: int) -> None:
        problem = disagreement(str(path), count, self.described)
        if problem is not None:
            raise RecordError("frame counts differ", self.where, problem)
        if self.number >= count:
            raise RecordError("missing frame", self.where, f"{path} ends before this frame")
