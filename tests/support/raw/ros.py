"""Bags of ROS 1 and ROS 2, written by the package rosbags as a RealSense records: see `raw`."""

import io
import struct
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from support.raw.robots import OPENCV, z_values
from support.scene import POSES, picture

START_NS = 1_700_000_000_000_000_000
STEP_NS = 33_333_333
NAMES = ("color/image_raw", "aligned_depth_to_color/image_raw", "color/camera_info")
FRAME = "camera_color_optical_frame"


@dataclass(frozen=True)
class Recording:
    """What is in a bag, and how.

    Attributes:
        form: `bag` of ROS 1, or `mcap`, `sqlite3` of ROS 2.
        camera: Of all pictures.
        poses: One a picture.
        picture: Encoding of pictures, or `jpeg`, `png`.
        depth: Encoding of depth; with `compressedDepth` before it, or `png`, compressed.
        prefix: Where the topics are.
        topics: Of pictures, depth and cameras, below it.
        late_ns: By how much depth is later than its picture.
        depth_frame: The frame of depth.
        compression: Of the bag.
        info: Values of the CameraInfo in place of the camera's.
        padding: Bytes after every row.
        big_endian: Whether depth is.
        refocus_px: By how much fx grows from picture to picture.
        stamped: Whether headers have the time.
    """

    form: str = "bag"
    camera: object = OPENCV
    poses: tuple = POSES
    picture: str = "rgb8"
    depth: str = "16UC1"
    prefix: str = "/camera/"
    topics: tuple = NAMES
    late_ns: int = 4_000_000
    depth_frame: str = FRAME
    compression: str = ""
    info: tuple = ()
    padding: int = 0
    big_endian: bool = False
    refocus_px: float = 0.0
    stamped: bool = True

    def truth(self, name):
        return {
            f"{name}/{START_NS + number * STEP_NS}": (self.camera, pose)
            for number, pose in enumerate(self.poses)
        }


def write_bag(root, name, recording):
    """Write a bag; return {frame id: (camera, pose)}."""
    root.mkdir(parents=True, exist_ok=True)
    is_ros1 = recording.form == "bag"
    store, writer = _writer(root / f"{name}.bag" if is_ros1 else root / name, recording)
    with writer:
        topics = [recording.prefix + topic for topic in recording.topics]
        if recording.picture in ("jpeg", "png"):
            topics[0] += "/compressed"
        how = recording.depth.split()[0]
        topics[1] += {"compressedDepth": "/compressedDepth", "png": "/compressed"}.get(how, "")
        kinds = ["CompressedImage" if "/compressed" in topic else "Image" for topic in topics]
        connections = [
            writer.add_connection(topic, f"sensor_msgs/msg/{kind}", typestore=store)
            for topic, kind in zip(topics, (*kinds[:2], "CameraInfo"), strict=True)
        ]
        for number, pose in enumerate(recording.poses):
            time_ns = START_NS + number * STEP_NS
            for place, message in enumerate(_messages(store, recording, pose, time_ns, number)):
                pack = store.serialize_ros1 if is_ros1 else store.serialize_cdr
                arrived = time_ns + 7_000_000 + (recording.late_ns if place == 1 else 0)
                writer.write(connections[place], arrived, pack(message, message.__msgtype__))
    return recording.truth(name)


def _writer(path, recording):
    from rosbags import rosbag1, rosbag2
    from rosbags.typesys import Stores, get_typestore

    if recording.form == "bag":
        writer = rosbag1.Writer(path)
        if recording.compression:
            writer.set_compression(rosbag1.Writer.CompressionFormat[recording.compression])
        return get_typestore(Stores.ROS1_NOETIC), writer
    plugin = rosbag2.StoragePlugin[recording.form.upper()]
    writer = rosbag2.Writer(path, version=9, storage_plugin=plugin)
    if recording.compression:
        mode = rosbag2.CompressionMode[recording.compression]
        writer.set_compression(mode, rosbag2.CompressionFormat.ZSTD)
    return get_typestore(Stores.ROS2_HUMBLE), writer


def _messages(store, recording, pose, time_ns, number):
    """Yield the messages of one moment: the picture, depth, the camera."""
    is_ros1 = recording.form == "bag"
    types = store.types

    def header(frame, at_ns):
        at_ns *= recording.stamped
        stamp = types["builtin_interfaces/msg/Time"](at_ns // 10**9, at_ns % 10**9)
        values = (number, stamp, frame) if is_ros1 else (stamp, frame)
        return types["std_msgs/msg/Header"](*values)

    def image(head, pixels, encoding, big=False):
        height, width = pixels.shape[:2]
        rows = pixels.reshape(height, -1).view(np.uint8)
        rows = np.pad(rows, ((0, 0), (0, recording.padding)), constant_values=77)
        data = rows.ravel()
        return types["sensor_msgs/msg/Image"](
            head, height, width, encoding, int(big), rows.shape[1], data
        )

    def compressed(head, how, data):
        data = np.frombuffer(data, np.uint8)
        return types["sensor_msgs/msg/CompressedImage"](head, how, data)

    head = header(FRAME, time_ns)
    seen = picture(recording.camera, pose)
    if recording.picture in ("jpeg", "png"):
        how = f"rgb8; {recording.picture} compressed bgr8"
        yield compressed(head, how, encoded(seen, recording.picture))
    else:
        yield image(head, arranged(seen, recording.picture), recording.picture)
    head = header(recording.depth_frame, time_ns + recording.late_ns)
    z = z_values(recording.camera, pose)
    how, _, encoding = recording.depth.rpartition(" ")
    values = np.round(z * 1000).astype(np.uint16) if encoding == "16UC1" else _with_gaps(z)
    if how:
        yield compressed(head, *_packed(values, how, encoding))
    else:
        order = ">" if recording.big_endian else "<"
        stored = values.astype(values.dtype.newbyteorder(order))
        yield image(head, stored, encoding, recording.big_endian)
    yield _info(types, header(FRAME, time_ns + 1000), recording, number)


def arranged(seen, encoding):
    """Return an RGB picture in an encoding of ROS."""
    if encoding == "mono8":
        return np.ascontiguousarray(seen[:, :, 1])
    if encoding.startswith("bgr"):
        seen = seen[:, :, ::-1]
    if "a" in encoding:
        seen = np.concatenate([seen, np.full((*seen.shape[:2], 1), 255, np.uint8)], axis=2)
    return np.ascontiguousarray(seen)


def encoded(pixels, form):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form)
    return buffer.getvalue()


def _with_gaps(z):
    """Return metres as float32, NaN or infinite in the hole."""
    z = z.astype(np.float32)
    z[z == 0] = np.nan
    z[:, :30][np.isnan(z[:, :30])] = np.inf
    return z


def _packed(values, how, encoding):
    """Return the format and the data of compressed depth, as compressed_depth_image_transport."""
    if encoding == "16UC1":
        head = struct.pack("<iff", 0, 0, 0) if how == "compressedDepth" else b""
        text = "compressedDepth png" if how == "compressedDepth" else "png compressed "
        return f"16UC1; {text}", head + encoded(values, "png")
    a = 100.0 * 101.0
    b = 1.0 - a / 10.0
    with np.errstate(invalid="ignore"):
        inverse = np.where(values < 10, a / values + b, 0).astype(np.uint16)
    data = struct.pack("<iff", 1, a, b) + encoded(inverse, "png")
    return "32FC1; compressedDepth", data


def _info(types, head, recording, number):
    camera, is_ros1 = recording.camera, recording.form == "bag"
    k = [camera.fx + number * recording.refocus_px, 0, camera.cx, 0, camera.fy, camera.cy, 0, 0, 1]
    bend = [*camera.k[:2], *camera.p, camera.k[2]]
    values = {
        "width": camera.width,
        "height": camera.height,
        "distortion_model": "equidistant" if camera.fisheye else "plumb_bob",
        "d": camera.k if camera.fisheye else bend,
        "k": k,
        "p": [*k[:3], 0, *k[3:6], 0, *k[6:], 0],
    } | dict(recording.info)
    roi = types["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
    matrices = {name: np.array(values.pop(name), float) for name in ("d", "k", "p")}
    matrices["r"] = np.eye(3).ravel()
    named = {name.upper() if is_ros1 else name: value for name, value in matrices.items()}
    return types["sensor_msgs/msg/CameraInfo"](
        header=head, binning_x=0, binning_y=0, roi=roi, **values, **named
    )


def write_bags(root):
    """Write a bag of ROS 1, and one of ROS 2 with compressed pictures and metres."""
    first = Recording(poses=POSES[:2])
    second = replace(
        first, form="mcap", poses=POSES[2:], picture="jpeg", depth="32FC1", prefix="/camera/camera/"
    )
    return write_bag(root, "hall", first) | write_bag(root, "yard", second)


FIXTURES = {"rosbag": (write_bags, [])}
