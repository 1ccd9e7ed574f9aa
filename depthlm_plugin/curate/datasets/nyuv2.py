"""NYU Depth V2, the labelled file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ...errors import DepthLMError, RecordError
from ...geometry.camera import Camera
from ..formats.files import encode_png
from ..formats.hdf5 import open_hdf5, stored_array
from ..formats.matlab import read_mat
from ..frames import Frame, Item
from ..reading import Reader, chosen, missing

_FILE, _SPLITS_FILE = "nyu_depth_v2_labeled.mat", "splits.mat"
_KEYS = {"train": "trainNdxs", "test": "testNdxs"}
_SIZE_WH = 640, 480
_LONGEST_NAME = 200
# Published for MATLAB, whose first pixel is 1: a centre here is one less.
_CAMERA = Camera(518.857901, 519.469611, 325.582449 - 1, 253.736166 - 1, _SIZE_WH)
_EIGEN_ROWS, _EIGEN_COLUMNS = slice(45, 471), slice(41, 601)


@dataclass(frozen=True)
class NyuV2(Reader):
    """NYU Depth V2, labelled: 1449 Kinect frames of 464 indoor scenes (Silberman et al., 2012).

    Source: New York University: `nyu_depth_v2_labeled.mat` (2.8 GB) and `splits.mat`, one folder.

    Licence: research use; read the terms of the download.

    Camera: pinhole, the published intrinsics of the RGB camera for all frames, 640x480.

    Depth: z along the principal axis, of a Kinect, registered to the picture.

    Units: float32 metres. `depths` has its holes filled (default); `--option depth=raw` takes
    `rawDepths`, whose holes are 0.

    Invalid: 0, and everything outside rows 45 to 470 and columns 41 to 600, the crop that Eigen et
    al. evaluate, without the white frame of the pictures (`--option crop=none` keeps all).

    Split: `test`, the 654 frames of Eigen et al. (2014), or `train`, the other 795, as `splits.mat`
    has them.
    """

    depth: str = "filled"
    crop: str = "eigen"

    SPLITS: ClassVar[tuple[str, ...]] = ("test", "train")
    STORED_DEPTH: ClassVar[str] = "z, m"
    CALIBRATED: ClassVar[bool] = True

    def items(self) -> Iterator[Item]:
        """Yield the frames of the split, by their numbers, which count from 1."""
        chosen("depth", self.depth, ("filled", "raw"))
        chosen("crop", self.crop, ("eigen", "none"))
        places = [self.below(self.root / name, "nyuv2") for name in (_FILE, _SPLITS_FILE)]
        if not all(place.is_file() for place in places):
            raise missing(self.root, "NYU Depth V2 (labelled)", f"{_FILE} and {_SPLITS_FILE}")
        with self._opened() as file:
            try:
                arrays = {name: stored_array(file, name) for name in ("images", "depths")}
            except ValueError as error:
                raise DepthLMError(f"{self.root / _FILE}: {error}; fetch it again") from error
            count = arrays["depths"].shape[0] if arrays["depths"].ndim else 0
            shapes = {name: array.shape[1:] for name, array in arrays.items()}
        if shapes != {"images": (3, *_SIZE_WH), "depths": _SIZE_WH}:
            raise DepthLMError(
                f"{self.root / _FILE} has the shapes {shapes}, expected images (N, 3, 640, 480) and"
                " depths (N, 640, 480); is it the labelled file of version 2?"
            )
        numbers = np.ravel(read_mat(self.root / _SPLITS_FILE, _KEYS[str(self.split)]))
        for number in sorted(map(int, numbers)):
            if not 1 <= number <= count:
                raise DepthLMError(
                    f"{_SPLITS_FILE} names frame {number} but {_FILE} has {count}; take both from"
                    " one download"
                )
            yield Item(f"{number:04d}", number - 1)

    def load(self, item: Item) -> Frame:
        """Return a frame; MATLAB stores columns first, so axes are turned round."""
        where = f"nyuv2 {item.frame_id}"
        with self._opened() as file:
            try:
                picture = np.asarray(stored_array(file, "images")[item.at]).transpose(2, 1, 0)
                name = "rawDepths" if self.depth == "raw" else "depths"
                stored = stored_array(file, name)
                if stored.shape[1:] != _SIZE_WH:
                    raise ValueError(f"{name} has the shape {stored.shape}")
                depth_m = np.asarray(stored[item.at]).T.astype(np.float64)
                scene = _text(file, "scenes", item.at)
            except Exception as error:  # HDF5's filters raise what they like
                raise RecordError(
                    "damaged file", where, f"{_FILE} cannot be read there ({error}); fetch it again"
                ) from error
        if self.crop == "eigen":
            inside = np.zeros(depth_m.shape, dtype=np.bool_)
            inside[_EIGEN_ROWS, _EIGEN_COLUMNS] = True
            depth_m[~inside] = np.nan
        return Frame(
            encode_png(picture),
            _CAMERA,
            "z",
            depth_m=depth_m,
            scene=scene or item.frame_id,
            camera_name="kinect",
        )

    def _opened(self) -> Any:
        try:
            return open_hdf5(self.root / _FILE)
        except OSError as error:
            raise DepthLMError(
                f"{self.root / _FILE} cannot be opened ({error}); is the download complete (2.8 GB)"
                " and the MATLAB 7.3 file?"
            ) from error


def _text(file: Any, name: str, index: int) -> str | None:
    """Return the text in a cell of the file: characters as numbers behind a reference."""
    if name not in file:
        return None
    cells = stored_array(file, name)
    cell = file[cells[np.unravel_index(index, cells.shape)]]
    if cell.size > _LONGEST_NAME:
        raise ValueError(f"{name} has a name of {cell.size} letters")
    return "".join(map(chr, np.ravel(cell[()]).tolist()))
