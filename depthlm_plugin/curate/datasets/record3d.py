"""Record3D: recordings of an iPhone or iPad with lidar, as the app exports them to `.r3d`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from typing import Any, ClassVar
from zipfile import BadZipFile, ZipFile

import numpy as np
from numpy.typing import NDArray

from ...errors import ConfigError, RecordError
from ...geometry.arrays import Floats
from ...geometry.rigid import FLIP_YZ, motion
from ..formats.files import opened_image
from ..formats.phone_lidar import (
    DEPTH_WH,
    EDGES,
    centred_camera,
    check_confidence,
    check_lidar_options,
    kept,
    lidar_rules,
)
from ..frames import Frame, Item
from ..reading import Reader, chosen, missing

_LARGEST_BYTES = 1 << 26  # of a file in an archive: pictures of phones are smaller
_NOWHERE = (0, 0, 0, 1, 0, 0, 0)  # the pose that is written where none was tracked


@dataclass(frozen=True)
class Record3D(Reader):
    """Record3D: your own recordings by an iPhone or iPad with lidar.

    Source: the app, https://record3d.app: a folder of recordings that were exported to `.r3d`, as
    they are. Every 10th frame (`--option every=10`). Needs `pip install
    "depthlm-plugin[record3d]"`. The format is what its maker says of it in the issues of
    https://github.com/marek-simonik/record3d, and how nerfstudio reads it.

    Licence: yours to state.

    Camera: pinhole, the intrinsics of each frame where `metadata` has them
    (`perFrameIntrinsicCoeffs`); else `K`, which are those of the first frame: the focus moves.
    Integers are taken for pixel centres. Poses are camera-to-world, turned from OpenGL's axes, in a
    world that begins at the first frame; recordings that were not tracked have none. Timestamps are
    `frameTimestamps`.

    Depth: z along the principal axis, by ARKit from the lidar, 192x256 (256x192 where the phone was
    held so), in register with the picture; not that of the front camera. Only depth of high
    confidence is labelled (2; `--option confidence=1` adds medium, 0 all). Depth pixels at edges,
    where 3x3 differ by 5 % or more, are left out (`--option edges=keep`), as are those beyond 5 m,
    the reach of the lidar (`--option farthest_m=10`).

    Units: float32 metres, LZFSE.

    Invalid: 0 or NaN.

    Split: none; use `depthlm split`. Scenes are recordings.
    """

    every: int = 10
    confidence: int = 2
    edges: str = "avoid"
    farthest_m: float = 5.0

    STORED_DEPTH: ClassVar[str] = "z, m"
    CALIBRATED: ClassVar[bool] = True
    MOTION: ClassVar[tuple[str, ...]] = ("pose", "timestamp")

    def items(self) -> Iterator[Item]:
        """Yield the frames as `<recording>/<number>`; a damaged recording as itself."""
        chosen("edges", self.edges, EDGES)
        check_lidar_options(self.every, self.farthest_m, self.confidence)
        archives = sorted(self.root.glob("*.r3d")) if self.root.is_dir() else []
        if not archives:
            raise missing(self.root, "a folder of recordings of Record3D", "*.r3d")
        for path in archives:
            try:
                recording = self._recording(path.stem)
            except RecordError as error:
                yield Item(path.stem, problem=(error.reason, error.message))
                continue
            for number in range(0, recording.count, self.every):
                yield Item(f"{path.stem}/{number}")

    def load(self, item: Item) -> Frame:
        """Return a frame."""
        where = f"record3d {item.frame_id}"
        name, _, stem = item.frame_id.rpartition("/")
        number = int(stem)
        recording = self._recording(name)
        picture = recording.read(f"rgbd/{number}.jpg", "missing image", where)
        what = f"{recording.path}: rgbd/{number}.jpg"
        with opened_image(BytesIO(picture), "unreadable image", where, what) as image:
            size_wh = image.size
        shape_hw = DEPTH_WH if size_wh[1] > size_wh[0] else DEPTH_WH[::-1]
        z_m = recording.values(f"{number}.depth", "<f4", shape_hw, where).astype(np.float64)
        rules = lidar_rules(z_m, self.edges, self.farthest_m)
        if self.confidence:
            levels = recording.values(f"{number}.conf", "u1", shape_hw, where)
            check_confidence(levels, f"{recording.path}: rgbd/{number}.conf", where)
            rules = {"low confidence": levels >= self.confidence} | rules
        depth_m, dropped = kept(z_m, rules)
        return Frame(
            picture,
            centred_camera(recording.intrinsics(number), size_wh, where, recording.path),
            "z",
            depth_m=depth_m,
            scene=name,
            timestamp=recording.times_s[number] if recording.times_s else None,
            pose=recording.pose(number),
            dropped=dropped,
            noted=[]
            if recording.each is not None
            else ["intrinsics of the recording's first frame"],
        )

    def _recording(self, name: str) -> _Recording:
        where = f"record3d {name}"
        path = self.below(self.root / f"{name}.r3d", where)
        try:
            return _described(str(path))
        except Exception as error:  # of a hostile archive: zlib.error, NotImplementedError, ...
            raise RecordError(
                "bad file", where, f"{path} cannot be read ({error}); export the recording again"
            ) from error


@dataclass(frozen=True, eq=False)
class _Recording:
    """What the `metadata` of an archive say.

    Attributes:
        path: The file.
        count: How many frames it has.
        k: fx, fy, cx, cy of the first frame, pixels of the pictures.
        each: Those of each frame (N, 4), or None.
        poses: Quaternions (x, y, z, w) and positions (metres) of the camera (N, 7), or None.
        times_s: When each frame was taken, or nothing.
    """

    path: str
    count: int
    k: Floats
    each: Floats | None
    poses: Floats | None
    times_s: list[float]

    def read(self, name: str, reason: str, where: str) -> bytes:
        """Return a file of the archive."""
        try:
            return _read(_opened(self.path), name)
        except KeyError as error:
            raise RecordError(
                reason, where, f"{self.path} has no {name}; export the recording again"
            ) from error
        except Exception as error:  # as above
            raise RecordError(
                "bad file", where, f"{self.path}: {name} cannot be read ({error}); export it again"
            ) from error

    def values(self, name: str, dtype: str, shape_hw: tuple[int, int], where: str) -> NDArray[Any]:
        """Return the values (H, W) of a file of `rgbd/` that is compressed with LZFSE."""
        lzfse = _import_lzfse()
        kind = "depth" if name.endswith("depth") else "confidence"
        data = self.read(f"rgbd/{name}", f"missing {kind}", where)
        try:
            values = np.frombuffer(lzfse.decompress(data), dtype)
        except (lzfse.error, ValueError) as error:
            raise RecordError(
                f"bad {kind}",
                where,
                f"{self.path}: rgbd/{name} cannot be decompressed ({error}); export it again",
            ) from error
        if len(values) != shape_hw[0] * shape_hw[1]:
            raise RecordError(
                f"bad {kind}",
                where,
                f"{self.path}: rgbd/{name} has {len(values)} values, expected the"
                f" {shape_hw[1]}x{shape_hw[0]} of the lidar; recordings of the front camera have"
                " others and are not read",
            )
        return values.reshape(shape_hw)

    def intrinsics(self, number: int) -> list[float]:
        """Return fx, fy, cx, cy of a frame."""
        values: list[float] = (self.k if self.each is None else self.each[number]).tolist()
        return values

    def pose(self, number: int) -> Floats | None:
        """Return the camera-to-world matrix (4, 4), OpenCV axes, or None."""
        if self.poses is None:
            return None
        x, y, z, w = self.poses[number, :4]
        return motion((w, x, y, z), self.poses[number, 4:]) @ FLIP_YZ


@lru_cache(maxsize=2)
def _opened(path: str) -> ZipFile:
    """Return an archive that stays open: only where frames are loaded, as forks share its place."""
    return ZipFile(path)


def _read(archive: ZipFile, name: str) -> bytes:
    if archive.getinfo(name).file_size > _LARGEST_BYTES:
        raise BadZipFile(f"{name} has more than {_LARGEST_BYTES >> 20} MiB")
    return archive.read(name)


@lru_cache(maxsize=4)
def _described(path: str) -> _Recording:
    """Return what an archive says of itself; whatever zipfile and json raise passes."""
    with ZipFile(path) as archive:
        metadata = json.loads(_read(archive, "metadata"))
        names = archive.namelist()
    count = sum(name.startswith("rgbd/") and name.endswith(".jpg") for name in names)
    if not count:
        raise ValueError("it has no rgbd/0.jpg")
    # By columns.
    k = np.asarray(metadata["K"], dtype=np.float64).reshape(3, 3).T
    each = _rows(metadata, "perFrameIntrinsicCoeffs", 4, count)
    poses = _rows(metadata, "poses", 7, count)
    if poses is not None and (poses == _NOWHERE).all():
        poses = None
    times = _rows(metadata, "frameTimestamps", 1, count)
    return _Recording(
        path,
        count,
        k[[0, 1, 0, 1], [0, 1, 2, 2]],
        each,
        poses,
        [] if times is None else times[:, 0].tolist(),
    )


def _rows(metadata: dict[str, Any], key: str, width: int, count: int) -> Floats | None:
    """Return what is said of each frame (N, width), or None where nothing is."""
    stated = metadata.get(key)
    if not stated:
        return None
    values: Floats = np.asarray(stated, dtype=np.float64).reshape(len(stated), -1)
    if values.shape != (count, width) or not np.isfinite(values).all():
        raise ValueError(
            f"it has {count} pictures, but {key} of metadata has {len(stated)} rows of"
            f" {values.shape[1]} numbers; expected {width} finite ones of each"
        )
    return values


def _import_lzfse() -> Any:
    try:
        import lzfse
    except ImportError as error:
        raise ConfigError(
            f"depth of Record3D is read with lzfse, which cannot be imported ({error}):"
            ' pip install "depthlm-plugin[record3d]"'
        ) from error
    return lzfse
