"""Anyone's recordings of a robot: bags of ROS 1 and ROS 2 with colour, aligned depth, camera."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from ...errors import ConfigError, DepthLMError, RecordError
from ..formats.in_time import associated
from ..formats.ros_bags import Bag, files_of, find_bags, open_bag, stamp_ns
from ..formats.ros_images import (
    COMPRESSED,
    IMAGE,
    INFO,
    Info,
    camera_of_info,
    depth_of,
    info_of,
    picture_of,
    size_of,
)
from ..frames import Frame, Item
from ..reading import Reader, missing

_NEAR_NS = 20_000_000  # depth and picture of one moment are no further apart
_CAMERAS = ("/camera/camera", "/camera")  # of realsense2_camera: ROS 2 since 4.55, and before
_COLOUR, _DEPTH = "color/image_raw", "aligned_depth_to_color/image_raw"
_TRANSPORTS = ("", "/compressed", "/compressedDepth")  # of image_transport
_RAW = "/depth/image_rect_raw"  # depth of realsense2_camera that is not aligned
_LIBREALSENSE = "/device_0/sensor_"
_SHOWN = 60  # topics of an error


class _Topics(NamedTuple):
    """Where a bag has its pictures, their depth and their cameras."""

    colour: str
    depth: str
    info: str


class _Moment(NamedTuple):
    """A picture with its depth: when each was measured and recorded, nanoseconds; its camera."""

    topics: _Topics
    colour_ns: int
    colour_recorded_ns: int
    depth_ns: int
    depth_recorded_ns: int
    info: Info


@dataclass(frozen=True)
class RosBag(Reader):
    """Bags of ROS 1 or ROS 2 with pictures, depth aligned to them and camera_info.

    Source: your own recording (`rosbag record`, `ros2 bag record`): `.bag`, folders of ROS 2 with
    `metadata.yaml` (sqlite3 or MCAP), `.mcap` and `.db3` files in one folder, or the folder of one
    ROS 2 bag. Topics are those of realsense2_camera with `align_depth`: `color/image_raw`,
    `aligned_depth_to_color/image_raw` and `color/camera_info` below `/camera/camera` or `/camera`;
    others: `--option color=TOPIC` `--option depth=TOPIC` `--option info=TOPIC` (that beside
    `color` unless given). Of each its `/compressed` or `/compressedDepth` is taken where it is not
    itself recorded. A picture has the depth that is nearest by the stamp of its header, within
    0.02 s, each being used once; pictures without one are no frames. Every bag is read once to list
    them. Needs `depthlm-plugin[rosbag]`.

    Licence: yours to state.

    Camera: the camera_info nearest in time: K with D of plumb_bob (or a rational_polynomial whose
    k4 to k6 are 0) or of equidistant, which the records keep as a lens; P for topics named
    `image_rect...`. Others are left out. Integers are pixel centres. Timestamps are nanoseconds of
    the picture's header. There are no poses.

    Depth: z along the principal axis, aligned to the picture: of its size and in its frame, by
    `frame_id` of both headers; other depth is left out. Bags that librealsense itself records
    (`/device_0/...`) are refused, since depth in them is not aligned.

    Units: 16UC1 is millimetres, 32FC1 metres (REP 118), raw, as `compressedDepth` png, or 16UC1 as
    png. realsense2_camera writes millimetres whatever the unit of the camera is.

    Invalid: values that are 0, negative, NaN or infinite.

    Split: none; use `depthlm split`. The scene is the bag.
    """

    color: str | None = None
    depth: str | None = None
    info: str | None = None

    STORED_DEPTH: ClassVar[str] = "z, mm or m"
    MOTION: ClassVar[tuple[str, ...]] = ("timestamp",)

    def items(self) -> Iterator[Item]:
        """Yield the pictures that have depth, as `<bag>/<nanoseconds>`; bags that are none too."""
        if (self.color is None) != (self.depth is None):
            raise ConfigError("give both --option color= and depth=, or neither")
        bags = find_bags(self.root) if self.root.is_dir() else []
        if not bags:
            raise missing(
                self.root, "a folder of ROS bags", "*.bag, *.mcap, *.db3, or folders with"
                " metadata.yaml",
            )  # fmt: skip
        failed = []
        scenes: dict[str, Path] = {}
        for path in bags:
            scene = path.resolve().name if path.is_dir() else path.stem
            if scene in scenes:
                raise DepthLMError(f"{scenes[scene]} and {path} have one name; keep one of them")
            scenes[scene] = path
            for file in files_of(path):
                self.below(file, "rosbag")
            try:
                moments = _moments(Bag(path), self.color, self.depth, self.info)
            except ValueError as error:
                failed.append(f"{path}: {error}")
                if len(failed) == len(bags):
                    raise DepthLMError(failed[0]) from error
                yield Item(scene, problem=("bad bag", failed[-1]))
                continue
            for moment in moments:
                yield Item(f"{scene}/{moment.colour_ns}", (path, scene, moment))

    def load(self, item: Item) -> Frame:
        """Return a picture with its depth map."""
        where = f"rosbag {item.frame_id}"
        path, scene, moment = item.at
        topics = moment.topics
        for file in files_of(path):
            self.below(file, where)
        try:
            bag = open_bag(path)
            colour = _message(bag, topics.colour, moment.colour_ns, moment.colour_recorded_ns)
            depth = _message(bag, topics.depth, moment.depth_ns, moment.depth_recorded_ns)
        except ValueError as error:
            raise RecordError("bad bag", where, f"{path} cannot be read ({error})") from error
        size_wh = size_of(colour, where)
        camera = camera_of_info(moment.info, "/image_rect" in topics.colour, size_wh, where)
        _check_aligned(colour, depth, topics.depth, where)
        depth_m = depth_of(depth, where)
        if depth_m.shape != size_wh[::-1]:
            raise RecordError(
                "not aligned",
                where,
                f"depth is {depth_m.shape[1]}x{depth_m.shape[0]}, the picture"
                f" {size_wh[0]}x{size_wh[1]}; record depth aligned to the picture",
            )
        return Frame(
            picture_of(colour, where),
            camera,
            "z",
            depth_m=depth_m,
            scene=scene,
            timestamp=moment.colour_ns,
        )


def _moments(bag: Bag, colour: str | None, depth: str | None, info: str | None) -> list[_Moment]:
    """Return every picture with depth.

    Raises:
        ValueError: For a bag without such topics or cameras, saying which there are.
    """
    topics = _topics(bag, colour, depth, info)
    pictures, depths = (_stamps(bag, topic) for topic in (topics.colour, topics.depth))
    infos: dict[int, Info] = {}
    kinds: dict[Info, Info] = {}  # one object of all that are alike
    for _, message in bag.messages(topics.info):
        found = info_of(message)
        infos[stamp_ns(message)] = kinds.setdefault(found, found)
    times, depth_times, info_times = (sorted(one) for one in (pictures, depths, infos))
    paired = associated(times, depth_times, _NEAR_NS)
    if not paired:
        raise ValueError(
            f"none of {len(times)} pictures of {topics.colour} has depth of {topics.depth}"
            f" ({len(depth_times)} of them) within 0.02 s by the stamps of their headers; are both"
            " of one clock?"
        )
    return [
        _Moment(
            topics,
            *(times[i], pictures[times[i]], depth_times[j], depths[depth_times[j]]),
            infos[_nearest(info_times, times[i])],
        )
        for i, j in paired
    ]


def _nearest(times: list[int], time: int) -> int:
    after = bisect_left(times, time)
    return min(times[max(after - 1, 0) : after + 1], key=lambda one: abs(one - time))


def _topics(bag: Bag, colour: str | None, depth: str | None, info: str | None) -> _Topics:
    if colour is not None and depth is not None:
        wanted = [(colour, depth)]
    else:
        wanted = [(f"{camera}/{_COLOUR}", f"{camera}/{_DEPTH}") for camera in _CAMERAS]
    for names in wanted:
        found = [_recorded(bag, name, (IMAGE, COMPRESSED)) for name in names]
        image = names[0].removesuffix(_TRANSPORTS[1])
        of_camera = info or f"{image.rpartition('/')[0]}/camera_info"
        if all(found) and _recorded(bag, of_camera, (INFO,)) == of_camera:
            return _Topics(str(found[0]), str(found[1]), of_camera)
    raise ValueError(_missing_topics(bag, wanted, info))


def _recorded(bag: Bag, name: str, types: tuple[str, ...]) -> str | None:
    """Return the topic, or the one of a transport of it, that has messages of one of the types."""
    for topic in (f"{name}{transport}" for transport in _TRANSPORTS):
        kind, count = bag.topics.get(topic, ("", 0))
        if kind in types and count:
            return topic
    return None


def _missing_topics(bag: Bag, wanted: list[tuple[str, str]], info: str | None) -> str:
    names = [f"{topic} ({kind}, {count})" for topic, (kind, count) in sorted(bag.topics.items())]
    there = ", ".join(names[:_SHOWN]) or "none"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    hint = ""
    if any(topic.startswith(_LIBREALSENSE) for topic in bag.topics):
        hint = (
            "; it was recorded by librealsense itself, with depth of the depth camera's own view:"
            " play it into realsense2_camera with align_depth.enable:=true and record that, or let"
            " Open3D save its frames (reader `redwood`)"
        )
    elif any(_RAW in topic for topic in bag.topics):
        hint = (
            f"; ...{_RAW} is not aligned to the pictures: start realsense2_camera with"
            " align_depth.enable:=true (ROS 1: align_depth:=true)"
        )
    looked = " or ".join(f"{one} with {two}" for one, two in wanted)
    beside = info or "camera_info beside the pictures"
    return (
        f"looked for {looked}, and {beside}; give --option color= depth= info=. Topics there:"
        f" {there}{more}{hint}"
    )


def _stamps(bag: Bag, topic: str) -> dict[int, int]:
    """Return the times when the messages of a topic were recorded by their stamps, nanoseconds."""
    result: dict[int, int] = {}
    for time_ns, message in bag.messages(topic):
        result.setdefault(stamp_ns(message), time_ns)
    if len(result) <= 1 and 0 in result:
        raise ValueError(f"the headers of {topic} have no stamps; pictures and depth need them")
    return result


def _message(bag: Bag, topic: str, measured_ns: int, recorded_ns: int) -> Any:
    for _, message in bag.messages(topic, recorded_ns):
        if stamp_ns(message) == measured_ns:
            return message
    raise ValueError(f"the message of {measured_ns} on {topic} is no longer there")


def _check_aligned(colour: Any, depth: Any, topic: str, where: str) -> None:
    names = [str(message.header.frame_id).lstrip("/") for message in (colour, depth)]
    if names[0] != names[1]:
        raise RecordError(
            "not aligned",
            where,
            f"depth of {topic} is in the frame {names[1]!r}, the picture in {names[0]!r}: it is not"
            " aligned to the picture. Record aligned depth (realsense2_camera:"
            " align_depth.enable:=true; others: depth_image_proc register)",
        )
