"""Depth images, masks and arrays that claim sizes, are damaged, or are of other formats."""

import io
import random
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from depthlm_plugin.curate.formats.files import array_of, read_depth_png, read_mask, read_npy
from depthlm_plugin.curate.formats.hdf5 import read_hdf5
from depthlm_plugin.errors import RecordError

SIZE_WH = 40, 30
DEPTH = np.arange(1200, dtype=np.uint16).reshape(30, 40)


def encoded(pixels, form="PNG"):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form)
    return file.getvalue()


def resized_png(data, width, height):
    """Return a PNG whose header claims another size."""
    header = data[12:16] + width.to_bytes(4, "big") + height.to_bytes(4, "big") + data[24:29]
    return data[:12] + header + zlib.crc32(header).to_bytes(4, "big") + data[33:]


@pytest.mark.parametrize("read", ["depth", "mask"])
@pytest.mark.parametrize("side", [60, 9000, 60_000])
def test_a_small_file_that_claims_a_huge_size_costs_nothing(tmp_path, read, side):
    path = tmp_path / "a.png"
    pixels = DEPTH if read == "depth" else DEPTH.astype(np.uint8)
    path.write_bytes(resized_png(encoded(pixels), side, side))
    tracemalloc.start()
    with pytest.raises(RecordError, match=r"expected 40x30|expected \(30, 40\)|bomb") as error:
        DOORS[read](path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert error.value.reason == ("bad depth image" if read == "depth" else "bad mask")
    assert peak < 1 << 20


def test_a_depth_image_without_an_expected_size_has_pillows_limit(tmp_path):
    (tmp_path / "a.png").write_bytes(resized_png(encoded(DEPTH), 12_000, 9_000))
    with pytest.raises(RecordError, match="decompression bomb"):
        read_depth_png(tmp_path / "a.png", "a")


def test_a_format_that_is_not_read_is_not_opened(tmp_path):
    (tmp_path / "a.png").write_bytes(encoded(np.zeros((30, 40, 3), np.uint8), "DDS"))
    for read in (
        lambda path: read_depth_png(path, "a"),
        lambda path: read_mask(path, (30, 40), "a"),
    ):
        with pytest.raises(RecordError, match="cannot identify image file"):
            read(tmp_path / "a.png")


DOORS = {
    "depth": lambda path: read_depth_png(path, "a", SIZE_WH),
    "mask": lambda path: read_mask(path, (30, 40), "a"),
    "npy": lambda path: read_npy(path, (30, 40), "a"),
    "hdf5": lambda path: read_hdf5(path, "a", (30, 40)),
}


def seeds():
    import h5py

    array, hdf5 = io.BytesIO(), io.BytesIO()
    np.save(array, DEPTH.astype(np.float32))
    with h5py.File(hdf5, "w") as file:
        file.create_dataset("dataset", data=DEPTH.astype(np.float16), compression="gzip")
    return {
        "depth": [encoded(DEPTH), encoded(DEPTH, "TIFF")],
        "mask": [encoded(DEPTH.astype(np.uint8)), encoded(DEPTH.astype(np.uint8), "BMP")],
        "npy": [array.getvalue()],
        "hdf5": [hdf5.getvalue()],
    }


def mutated(rng, data):
    data = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        if len(data) < 2:
            break
        at = rng.randrange(min(len(data), rng.choice((64, 400, len(data)))))
        if rng.random() < 0.8:
            data[at] = rng.randrange(256)
        else:
            del data[at : at + rng.randint(1, 40)]
    return bytes(data[: rng.randint(1, len(data))]) if rng.random() < 0.2 else bytes(data)


@pytest.mark.parametrize("count", [40, pytest.param(1500, marks=pytest.mark.slow)])
@pytest.mark.parametrize("door", DOORS)
def test_damaged_files_are_refused_or_read_whole(tmp_path, door, count):
    rng = random.Random(door)
    path = tmp_path / "a"
    for data in seeds()[door]:
        for _ in range(count):
            path.write_bytes(mutated(rng, data))
            try:
                values = DOORS[door](path)
            except RecordError:
                continue
            assert values.shape == (30, 40)


@pytest.mark.parametrize("kind", ["external", "link", "soft", "virtual", "huge", "group"])
def test_an_hdf5_file_holds_its_own_numbers(tmp_path, kind):
    h5py = pytest.importorskip("h5py")
    secret = tmp_path / "secret"
    secret.write_bytes(b"AKIA5ECRET" * 480)
    with h5py.File(tmp_path / "other.hdf5", "w") as file:
        file["dataset"] = DEPTH.astype(np.float32)
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        if kind == "external":
            places = [(str(secret), 0, 4800)]
            file.create_dataset("dataset", (30, 40), np.float32, external=places)
        elif kind == "link":
            file["dataset"] = h5py.ExternalLink("other.hdf5", "dataset")
        elif kind == "soft":
            file["dataset"] = h5py.SoftLink("/dataset2")
            file["dataset2"] = DEPTH.astype(np.float32)
        elif kind == "virtual":
            layout = h5py.VirtualLayout((30, 40), np.float32)
            layout[:] = h5py.VirtualSource("other.hdf5", "dataset", (30, 40))
            file.create_virtual_dataset("dataset", layout)
        elif kind == "huge":
            file.create_dataset("dataset", (1 << 20, 1 << 20), np.float16, chunks=(64, 64))
        else:
            file.create_group("dataset")
    for shape in ((30, 40), None):
        with pytest.raises(RecordError):
            read_hdf5(tmp_path / "a.hdf5", "a", shape)


def test_arrays_of_bytes_are_those_of_numpy():
    for array in (DEPTH, np.asfortranarray(DEPTH), np.float64(3.5), np.zeros((2, 0, 3)), DEPTH > 3):
        file = io.BytesIO()
        np.save(file, array)
        np.testing.assert_array_equal(array_of(file.getvalue()), array)
        with pytest.raises(ValueError, match=r"."):
            array_of(file.getvalue()[: 120 if np.size(array) else 100])
