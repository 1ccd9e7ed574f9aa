"""Frames of a video by number: the n-th picture shown, whatever its codec and its timing."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ConfigError

_FAR = 240  # frames: nearer ones are reached by decoding on, whatever keyframes are between


@lru_cache(maxsize=2)  # the picture and the mask of one scan; decoders hold many frames
def open_video(path: str, whole: bool = False) -> Video:
    """Return a video, opened once in a process, so that frames in order cost one pass.

    Args:
        path: The file.
        whole: Whether frames count that the file holds and an edit list keeps from being shown.

    Raises:
        ConfigError: Without PyAV, the optional extra `video`.
        ValueError: For a file that is no video.
    """
    return Video(path, whole)


class Video:
    """A video whose packets were counted; it goes on decoding where the last frame was.

    Args:
        path: The file.
        whole: As `open_video` takes it.
    """

    def __init__(self, path: str, whole: bool) -> None:
        self._av = _import_av()
        self._path = path
        self._options = {"ignore_editlist": "1"} if whole else {}
        self._times: list[int] = []
        self._keyframes: list[int] = []
        self._frames: Iterator[Any]
        try:
            self._open()
            for packet in self._container.demux(self._stream):
                if packet.pts is None or packet.is_discard:  # the end, or cut by an edit list
                    continue
                self._times.append(packet.pts)
                if packet.is_keyframe:
                    self._keyframes.append(packet.pts)
        except (self._av.FFmpegError, IndexError) as error:
            raise ValueError(
                f"cannot be read as a video ({error}); is the download complete?"
            ) from error
        self._times.sort()  # packets are in decoding order
        self._keyframes.sort()
        self._open()

    def __len__(self) -> int:
        return len(self._times)

    def read(self, number: int, pixel_format: str) -> NDArray[np.uint8]:
        """Return a frame as `rgb24` (H, W, 3) or `gray` (H, W).

        Raises:
            ValueError: For a frame that cannot be decoded.
        """
        time = self._times[number]
        try:
            frame = self._decode_to(time, number)
        except self._av.FFmpegError as error:
            self._number = len(self)  # so that the next one is sought, past the damage
            raise ValueError(
                f"cannot be decoded at frame {number} ({error}); fetch it again"
            ) from error
        if frame is None or frame.is_corrupt:
            self._number = len(self)
            raise ValueError(f"is damaged at frame {number}; fetch it again")
        result: NDArray[np.uint8] = frame.to_ndarray(format=pixel_format)
        return result

    def _decode_to(self, time: int, number: int) -> Any:
        """Return the frame of a presentation time, or None where the video has it not."""
        if not self._number < number <= self._number + _FAR:
            before = bisect_right(self._keyframes, time)
            if before:
                self._container.seek(self._keyframes[before - 1], stream=self._stream)
                self._frames = self._container.decode(self._stream)
            frame = next(self._frames, None)
            if frame is None or frame.pts is None or frame.pts > time:  # sought too far
                self._open()
                frame = next(self._frames, None)
        else:
            frame = next(self._frames, None)
        while frame is not None and (frame.pts is None or frame.pts < time):
            frame = next(self._frames, None)
        self._number = number
        return frame if frame is not None and frame.pts == time else None

    def _open(self) -> None:
        self._container = self._av.open(self._path, options=self._options)
        self._stream = self._container.streams.video[0]
        self._frames = self._container.decode(self._stream)
        self._number = -1


def _import_av() -> Any:
    try:
        import av
    except ImportError as error:
        raise ConfigError(
            f"a video is read with PyAV, which cannot be imported ({error}):"
            ' pip install "depthlm-plugin[video]", or extract its frames'
        ) from error
    return av
