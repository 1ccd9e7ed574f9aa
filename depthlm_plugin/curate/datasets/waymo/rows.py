"""Files of the Waymo Open Dataset v2: rows by their keys, in whatever order they are."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any

from ....errors import DepthLMError, RecordError
from ....records.row_groups import open_parquet

FRAME, CAMERA, LASER = "key.frame_timestamp_micros", "key.camera_name", "key.laser_name"
_SEGMENT = "key.segment_context_name"
_FIRST_RETURN = ("range_image_return1.values", "range_image_return1.shape")
_MAYBE_EMPTY = ("range_image_return1.", "beam_inclination.")
# A component's folder: the name in its columns, its keys below the segment, its fields.
_COMPONENTS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "camera_image": (
        "CameraImageComponent",
        (FRAME, CAMERA),
        (
            "image",
            "pose.transform",
            "pose_timestamp",
            *(f"velocity.linear_velocity.{axis}" for axis in "xyz"),
            *(f"velocity.angular_velocity.{axis}" for axis in "xyz"),
            "rolling_shutter_params.shutter",
            "rolling_shutter_params.camera_trigger_time",
            "rolling_shutter_params.camera_readout_done_time",
        ),
    ),
    "camera_calibration": (
        "CameraCalibrationComponent",
        (CAMERA,),
        (
            *(f"intrinsic.{name}" for name in ("f_u", "f_v", "c_u", "c_v")),
            *(f"intrinsic.{name}" for name in ("k1", "k2", "p1", "p2", "k3")),
            "extrinsic.transform",
            "width",
            "height",
            "rolling_shutter_direction",
        ),
    ),
    "lidar": ("LiDARComponent", (FRAME, LASER), _FIRST_RETURN),
    "lidar_calibration": (
        "LiDARCalibrationComponent",
        (LASER,),
        (
            "extrinsic.transform",
            "beam_inclination.min",
            "beam_inclination.max",
            "beam_inclination.values",
        ),
    ),
    "lidar_camera_projection": ("LiDARCameraProjectionComponent", (FRAME, LASER), _FIRST_RETURN),
    "lidar_pose": ("LiDARPoseComponent", (FRAME, LASER), _FIRST_RETURN),
    "vehicle_pose": ("VehiclePoseComponent", (FRAME,), ("world_from_vehicle.transform",)),
}
COMPONENTS = tuple(_COMPONENTS)
"""The folders of a split that are needed; each has a file for every segment."""

Row = Mapping[str, Any]
"""Field to value; numbers in a list are an array."""


def read_keys(path: Path) -> list[tuple[int, ...]]:
    """Return the keys of all rows of a file, without reading anything else.

    Raises:
        DepthLMError: For a file that is damaged or not what its name says.
    """
    from pyarrow import ArrowException

    try:
        return _keys(open_parquet(str(path)), path)
    except (ArrowException, OSError) as error:
        raise _damaged(path, error) from error


def rows_of_frame(
    split: Path, component: str, segment: str, frame: int, where: str
) -> dict[int, Row]:
    """Return the rows of a frame, by camera or laser, of a component with both.

    Raises:
        RecordError: `missing file`, `damaged file`.
    """
    with _reading(split / component / f"{segment}.parquet", where) as path:
        return _frames(path).read(frame)


def rows_of_segment(split: Path, component: str, segment: str, where: str) -> dict[int, Row]:
    """Return the rows of a small component, by camera, laser or frame.

    Raises:
        RecordError: `missing file`, `damaged file`.
    """
    with _reading(split / component / f"{segment}.parquet", where) as path:
        return _segment(path)


class _Frames:
    """The rows of a file where one is megabytes.

    A row group, a quarter of the 20 seconds, can only be decoded from its start, and is a gigabyte
    as a whole. So rows are decoded one by one, forwards, and the last frame's are kept: when frames
    are asked for in the file's order, each row is decoded once.
    """

    def __init__(self, path: Path) -> None:
        self._file = open_parquet(str(path))
        self._columns = _columns(self._file, path)
        self._places: dict[int, list[tuple[int, int]]] = {}
        for row, (frame, sensor) in enumerate(_keys(self._file, path)):
            self._places.setdefault(frame, []).append((row, sensor))
        metadata = self._file.metadata
        counts = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        self._starts = [0, *accumulate(counts)]
        self._batches: Iterator[Any] = iter(())
        self._next = self._starts[-1]  # the row that comes next
        self._last: tuple[int, dict[int, Row]] | None = None

    def read(self, frame: int) -> dict[int, Row]:
        if self._last is None or self._last[0] != frame:
            places = self._places.get(frame, [])
            self._last = frame, {sensor: self._read(row) for row, sensor in places}
        return self._last[1]

    def _read(self, row: int) -> Row:
        group = bisect_right(self._starts, row) - 1
        if not self._starts[group] <= self._next <= row:
            groups = range(group, len(self._starts) - 1)
            self._batches = self._file.iter_batches(1, list(groups), list(self._columns))
            self._next = self._starts[group]
        start, self._next = self._next, self._starts[-1]  # after an error, it starts afresh
        for at, batch in enumerate(self._batches, start):
            if at == row:
                self._next = row + 1
                return _values(batch, 0, self._columns)
        raise OSError(f"it ends before row {row}")


# Large files at a time: the four of a segment, and of its neighbour.
_frames = lru_cache(maxsize=8)(_Frames)


@lru_cache(maxsize=8)
def _segment(path: Path) -> dict[int, Row]:
    file = open_parquet(str(path))
    columns = _columns(file, path)
    table = file.read(columns=list(columns)).combine_chunks()
    return {key: _values(table, row, columns) for row, (key,) in enumerate(_keys(file, path))}


def _values(table: Any, row: int, columns: Mapping[str, str]) -> Row:
    from pyarrow import ListScalar

    values = {}
    for name, field in columns.items():
        scalar = table.column(name)[row]
        if scalar.is_valid and isinstance(scalar, ListScalar):
            values[field] = scalar.values.to_numpy(zero_copy_only=False)
        elif scalar.is_valid or field.startswith(_MAYBE_EMPTY):
            values[field] = scalar.as_py()
        else:
            raise DepthLMError(f"{name} is empty in a row; fetch the file of its segment again")
    return values


def _columns(file: Any, path: Path) -> dict[str, str]:
    """Return {column: field} of a component."""
    component, _, fields = _COMPONENTS[path.parent.name]
    columns = {f"[{component}].{field}": field for field in fields}
    _check_columns(file, path, columns)
    return columns


def _keys(file: Any, path: Path) -> list[tuple[int, ...]]:
    names = (_SEGMENT, *_COMPONENTS[path.parent.name][1])
    _check_columns(file, path, names)
    table = file.read(columns=list(names))
    segments = set(table.column(_SEGMENT).to_pylist())
    if segments != {path.stem}:
        raise DepthLMError(
            f"{path} holds the segments {sorted(map(str, segments))[:3]}; expected the one that it"
            " is named after; fetch it again"
        )
    return list(zip(*(table.column(name).to_pylist() for name in names[1:]), strict=True))


def _check_columns(file: Any, path: Path, names: Iterable[str]) -> None:
    there = set(file.schema_arrow.names)
    for name in names:
        if name not in there:
            raise DepthLMError(f"{path} has no column {name}; is it of version 2 of the dataset?")


@contextmanager
def _reading(path: Path, where: str) -> Iterator[Path]:
    from pyarrow import ArrowException

    if not path.is_file():
        raise RecordError(
            "missing file", where, f"{path} does not exist; is the download complete?"
        )
    try:
        yield path
    except (ArrowException, OSError) as error:
        raise RecordError("damaged file", where, str(_damaged(path, error))) from error
    except DepthLMError as error:
        raise RecordError("damaged file", where, str(error)) from error


def _damaged(path: Path, error: Exception) -> DepthLMError:
    reason = " ".join(str(error).split())
    return DepthLMError(f"{path} cannot be read ({reason}); fetch it again")
