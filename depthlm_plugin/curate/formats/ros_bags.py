"""Bags of ROS 1 and ROS 2: topics, and messages by their times; read with the package rosbags."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from ...errors import ConfigError

_BARE = (".bag", ".mcap", ".db3")
_METADATA = "metadata.yaml"


def find_bags(root: Path) -> list[Path]:
    """Return the bags of a folder, in order: files, folders of ROS 2, or the folder itself."""
    if (root / _METADATA).is_file():
        return [root]
    return sorted(
        path
        for path in root.iterdir()
        if (path.suffix in _BARE and path.is_file()) or (path / _METADATA).is_file()
    )


def files_of(bag: Path) -> list[Path]:
    """Return the files that reading a bag opens."""
    return [bag] if bag.is_file() else sorted(path for path in bag.iterdir() if path.is_file())


@lru_cache(maxsize=2)
def _kept_open(path: str, process: int) -> Bag:
    return Bag(Path(path))


def open_bag(path: Path) -> Bag:
    """Return a bag that stays open in this process, so that frames of it cost no index each."""
    return _kept_open(str(path), os.getpid())  # a forked process must not share the file's place


class Bag:
    """An open bag; closed when nothing refers to it.

    Args:
        path: A `.bag` of ROS 1, a folder of ROS 2, or its `.mcap` or `.db3`.

    Attributes:
        topics: The type of messages of every topic, and how many there are.

    Raises:
        ConfigError: Without the package rosbags.
        ValueError: For a file that is none, or damaged.
    """

    def __init__(self, path: Path) -> None:
        rosbag1, rosbag2, typesys = _import_rosbags()
        is_ros1 = path.suffix == ".bag"
        # Types as they are installed with ROS: definitions in bags may be of types that are not.
        store = typesys.get_typestore(
            typesys.Stores.ROS1_NOETIC if is_ros1 else typesys.Stores.ROS2_HUMBLE
        )
        self._parse = store.deserialize_ros1 if is_ros1 else store.deserialize_cdr
        try:
            self._reader = rosbag1.Reader(path) if is_ros1 else rosbag2.Reader(path)
            self._reader.open()
        except Exception as error:  # of damaged files it raises what it likes
            raise ValueError(str(error) or type(error).__name__) from error
        weakref.finalize(self, self._reader.close)
        self.topics: dict[str, tuple[str, int]] = {}
        for one in self._reader.connections:
            _, count = self.topics.get(one.topic, ("", 0))
            self.topics[one.topic] = one.msgtype, count + one.msgcount

    def messages(self, topic: str, at_ns: int | None = None) -> Iterator[tuple[int, Any]]:
        """Yield the messages of a topic, each with the time when it was recorded, nanoseconds.

        Args:
            topic: The topic.
            at_ns: Only messages that were recorded at this time; None: all.

        Raises:
            ValueError: For a damaged bag.
        """
        chosen = [one for one in self._reader.connections if one.topic == topic]
        stop_ns = None if at_ns is None else at_ns + 1
        try:
            for one, time_ns, data in self._reader.messages(chosen, at_ns, stop_ns):
                yield time_ns, self._parse(data, one.msgtype)
        except Exception as error:  # as above; decompression too
            raise ValueError(str(error) or type(error).__name__) from error


def stamp_ns(message: Any) -> int:
    """Return the time in a message's header, nanoseconds: of its measurement."""
    stamp = message.header.stamp
    return int(stamp.sec) * 10**9 + int(stamp.nanosec)


def _import_rosbags() -> tuple[Any, Any, Any]:
    try:
        from rosbags import rosbag1, rosbag2, typesys
    except ImportError as error:
        raise ConfigError(
            f"bags are read with the package rosbags, which cannot be imported ({error}):"
            ' pip install "depthlm-plugin[rosbag]"'
        ) from error
    return rosbag1, rosbag2, typesys
