"""The streams of a phone's recording, depth and video: frames by number, in any order."""

import numpy as np
import pytest
from support.raw.handheld import depth_bin, number_in, numbered, photograph, write_video

from depthlm_plugin.curate.datasets.scannetpp.depth_stream import open_depth
from depthlm_plugin.curate.formats.video import open_video


@pytest.mark.parametrize("kind", ["lz4", "deflate", "stream"])
def test_depth_frames_in_any_order(tmp_path, kind):
    frames = [np.full((192, 256), 0.5 + 0.25 * number) for number in range(7)]
    frames[3][::2] = 0
    (tmp_path / "depth.bin").write_bytes(depth_bin(kind, frames))
    stream = open_depth(str(tmp_path / "depth.bin"))
    assert len(stream) == 7
    for number in (5, 2, 3, 6, 0, 0):
        np.testing.assert_array_equal(stream.read(number), frames[number])


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format", "options"),
    [
        ("a.mkv", "libx264", "yuv420p", {"bf": "3", "g": "12"}),
        ("a.mp4", "libx264", "yuv420p", {"bf": "3", "g": "7", "x264-params": "open-gop=1"}),
        ("a.mp4", "libx265", "yuv420p", {"x265-params": "keyint=10:bframes=3:log-level=none"}),
        ("a.mkv", "ffv1", "bgr0", {}),
        ("a.ts", "libx264", "yuv420p", {}),  # where a seek may end behind what was sought
    ],
)
def test_video_frames_by_number_in_any_order(tmp_path, name, codec, pixel_format, options):
    blank = np.zeros((64, 512, 3), np.uint8)
    pictures = [numbered(blank.copy(), number) for number in range(250)]
    write_video(tmp_path / name, pictures, codec, pixel_format, options)
    video = open_video(str(tmp_path / name))
    assert len(video) == 250
    wanted = [0, 10, 20, 70, 71, 69, 249, 5, 248, 8, 8, *range(100, 140, 3), 0]
    assert [number_in(video.read(number, "rgb24")) for number in wanted] == wanted
    assert number_in(video.read(33, "gray")) == 33


def test_video_frames_that_an_edit_list_cuts_are_not_counted(tmp_path):
    import av

    blank = np.zeros((64, 512, 3), np.uint8)
    write_video(tmp_path / "a.mp4", [numbered(blank.copy(), number) for number in range(30)])
    with av.open(str(tmp_path / "a.mp4")) as whole, av.open(str(tmp_path / "b.mp4"), "w") as part:
        stream = part.add_stream_from_template(whole.streams.video[0])
        packets = [packet for packet in whole.demux() if packet.pts is not None]
        for packet in packets:
            packet.pts, packet.dts = (at - 5 * packet.duration for at in (packet.pts, packet.dts))
            packet.stream = stream
            part.mux(packet)
    video = open_video(str(tmp_path / "b.mp4"))
    assert len(video) == 25
    assert [number_in(video.read(number, "rgb24")) for number in (0, 24, 7)] == [5, 29, 12]
    video = open_video(str(tmp_path / "b.mp4"), whole=True)
    assert len(video) == 30
    assert [number_in(video.read(number, "rgb24")) for number in (0, 29, 7)] == [0, 29, 7]


def test_colours_of_a_video(tmp_path):
    write_video(tmp_path / "a.mkv", [photograph(0)])
    found = open_video(str(tmp_path / "a.mkv")).read(0, "rgb24")
    assert np.abs(found - photograph(0).astype(float)).mean() < 4


def test_a_damaged_frame_of_a_video_costs_only_itself(tmp_path):
    import av

    blank = np.zeros((64, 512, 3), np.uint8)
    path = tmp_path / "a.mp4"
    write_video(path, [numbered(blank.copy(), n) for n in range(20)], "ffv1", "bgr0", {"g": "1"})
    with av.open(str(path)) as container:
        packet = [packet for packet in container.demux() if packet.size][12]
        start, end = packet.pos, packet.pos + packet.size
    data = bytearray(path.read_bytes())
    data[start:end] = b"\xff" * (end - start)
    path.write_bytes(data)
    video = open_video(str(path))
    assert len(video) == 20
    assert [number_in(video.read(number, "rgb24")) for number in (0, 11)] == [0, 11]
    with pytest.raises(ValueError, match="cannot be decoded at frame 12"):
        video.read(12, "rgb24")
    assert [number_in(video.read(number, "rgb24")) for number in (13, 19, 5)] == [13, 19, 5]
