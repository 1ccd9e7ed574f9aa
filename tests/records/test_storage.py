import io
import json

import fsspec
import numpy as np
import pytest
from PIL import Image

from depthlm_plugin import DepthSamples
from depthlm_plugin.cli import main
from depthlm_plugin.errors import DepthLMError, RecordError
from depthlm_plugin.records import storage
from depthlm_plugin.records.raw import parse_row
from depthlm_plugin.records.record import find_image
from depthlm_plugin.records.rows import open_rows, read_rows
from depthlm_plugin.records.shard_writer import write_shards
from depthlm_plugin.views.decode import image_size, load_pixels, load_rgb

WHERE = "records.jsonl:7"


@pytest.fixture(params=["memory", "file"])
def remote(request, tmp_path):
    """The URL of an empty folder."""
    if request.param == "file":
        (tmp_path / "far").mkdir()
        yield f"file://{tmp_path / 'far'}"
        return
    filesystem = fsspec.filesystem("memory")
    yield "memory://far"
    if filesystem.exists("/far"):
        filesystem.rm("/far", recursive=True)


def upload(folder, remote):
    """Copy a local folder's files to a URL."""
    for path in folder.rglob("*"):
        target = f"{remote}/{path.relative_to(folder)}"
        if path.is_file() and not target.endswith(str(path)):
            with fsspec.open(target, "wb") as file:
                file.write(path.read_bytes())


@pytest.fixture
def here(tmp_path):
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


def noise(size_wh=(60, 40)):
    width, height = size_wh
    values = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


def put(remote, name, content):
    with fsspec.open(f"{remote}/{name}", "wb") as file:
        file.write(content)
    return f"{remote}/{name}"


def encoded(image, form):
    buffer = io.BytesIO()
    image.save(buffer, form)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("path", "remote"),
    [
        ("s3://bucket/a.png", True),
        ("hf://datasets/a/b/c.parquet", True),
        ("memory://a", True),
        ("file:///data/a", True),
        ("simplecache::s3://bucket/a.png", True),
        ("/data/a.png", False),
        ("data/s3://a.png", False),
        ("a:b.png", False),
        ("ab::c.png", False),
        ("C:/data", False),
        ("C://data", False),
        ("", False),
    ],
)
def test_is_remote(path, remote):
    assert storage.is_remote(path) is remote


@pytest.mark.parametrize(
    ("root", "path", "joined"),
    [
        ("/data", "rgb/a.png", "/data/rgb/a.png"),
        ("s3://bucket", "rgb/a.png", "s3://bucket/rgb/a.png"),
        ("s3://bucket/data/", "a b%20.png", "s3://bucket/data/a b%20.png"),
        ("s3://bucket/data", "rgb/../a.png", "s3://bucket/data/a.png"),
        ("s3://bucket/data", "..a.png", "s3://bucket/data/..a.png"),
        ("memory://", "a.png", "memory://a.png"),
        ("simplecache::s3://bucket/data", "a.png", "simplecache::s3://bucket/data/a.png"),
        ("zip://rgb::s3://bucket/a.zip", "a.png", "zip://rgb/a.png::s3://bucket/a.zip"),
    ],
)
def test_join_and_parent(root, path, joined):
    assert storage.join(root, path) == joined
    assert storage.name(joined) == path.rsplit("/", 1)[-1]
    if path == "a.png" and root != "memory://":
        assert storage.parent(joined) == root


CLIMBING = [
    "../a.png",
    "rgb/../../a.png",
    "%2e%2e/a.png",
    "rgb/%2E%2e/..%2fa.png",
    "..\\a.png",
    "a.png::file:///etc/passwd",
    "file:///etc/passwd",
    "memory://a.png",
]


@pytest.mark.parametrize("image", CLIMBING)
def test_image_paths_stay_below_a_remote_root(remote, image):
    put(remote, "a.png", encoded(noise(), "PNG"))
    root = storage.join(remote, "inner")
    assert find_image("a.png", [remote], WHERE) == f"{remote}/a.png"
    with pytest.raises(RecordError, match=f"^{WHERE}: .*leaves") as caught:
        find_image(image, [root], WHERE)
    assert caught.value.reason == "image outside its root"


@pytest.mark.parametrize("root", ["", "/data", "data"])
def test_an_image_path_is_never_a_url_of_its_own(root):
    with pytest.raises(RecordError, match=r"'file:///etc/passwd' leaves .* as media_dir"):
        find_image("file:///etc/passwd", [root], WHERE)


def test_images_are_found_in_the_first_root_that_has_them(remote, here):
    (here / "a.png").write_bytes(b"")
    for name in ("a.png", "b.png"):
        put(remote, name, b"")
    roots = [str(here), remote]
    assert find_image("a.png", roots, WHERE) == str(here / "a.png")
    assert find_image("b.png", roots, WHERE) == f"{remote}/b.png"
    with pytest.raises(RecordError, match=r"'c.png' is in none of") as caught:
        find_image("c.png", roots, WHERE)
    assert caught.value.reason == "missing image"


@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP"])
def test_remote_pictures_are_local_pictures(remote, here, form):
    image = noise()
    content = encoded(image, form)
    (here / "photo").write_bytes(content)
    url = put(remote, "photo", content)
    local = str(here / "photo")
    assert image_size(url, WHERE) == (60, 40)
    np.testing.assert_array_equal(load_rgb(url, WHERE), load_rgb(local, WHERE))
    for fast in (True, False):
        pixels = load_pixels(url, WHERE, fast=fast)
        np.testing.assert_array_equal(pixels, load_pixels(local, WHERE, fast=fast))
        assert pixels.flags.writeable


@pytest.mark.parametrize(
    ("content", "reason", "found"),
    [
        (None, "missing image", "does not exist"),
        (b"<html>404</html>", "unreadable image", "not an image file"),
        (encoded(noise(), "PNG")[:5000], "unreadable image", "fetch it again"),
        (encoded(noise(), "JPEG")[:1200], "unreadable image", "fetch it again"),
    ],
    ids=["missing", "html", "PNG", "JPEG"],
)
def test_remote_files_that_hold_no_whole_image(remote, content, reason, found):
    url = put(remote, "photo", content) if content is not None else f"{remote}/photo"
    for read in (load_rgb, lambda *a: load_pixels(*a, fast=True)):
        with pytest.raises(RecordError, match=f"^{WHERE}: .*{url}.*{found}") as caught:
            read(url, WHERE)
        assert caught.value.reason == reason
    if content is None:
        with pytest.raises(RecordError, match="does not exist"):
            image_size(url, WHERE)


def test_the_size_of_a_remote_picture_takes_its_header_only(remote):
    content = encoded(noise(), "PNG")
    url = put(remote, "photo", content[: content.index(b"IDAT") + 14])
    assert image_size(url, WHERE) == (60, 40)


@pytest.mark.parametrize("name", ["r.jsonl", "r.json", "r.parquet", "shards", "folder"])
def test_remote_records_are_local_records(remote, here, save_rows, make_record, name):
    records = [make_record(scene=f"s{row}") for row in range(9)]
    if name == "shards":
        write_shards(records, str(here / name), rows_per_shard=4, rows_per_batch=2)
    elif name == "folder":
        (here / name).mkdir()
        save_rows(here / name / "a.parquet", records[:4])
        save_rows(here / name / "b.jsonl", ["", *records[4:]])
        save_rows(here / name / "dataset_info.json", [])
    else:
        save_rows(here / name, records)
    upload(here, remote)
    expected = list(open_rows(here / name))
    rows = open_rows(f"{remote}/{name}")
    assert [rows[row] for row in reversed(range(9))] == expected[::-1]
    assert list(read_rows(f"{remote}/{name}")) == list(read_rows(here / name))
    assert [parse_row(text, at) for at, text in read_rows(f"{remote}/{name}")] == records


@pytest.mark.parametrize("name", ["absent.jsonl", "absent"])
def test_remote_records_that_are_not_there(remote, name):
    for read in (open_rows, lambda path: next(read_rows(path))):
        with pytest.raises(DepthLMError, match=f"{remote}/{name} does not exist"):
            read(f"{remote}/{name}")


def test_a_remote_shard_that_is_missing_or_cut_off(remote, here):
    write_shards([{"row": row} for row in range(4)], str(here / "s"), rows_per_shard=2)
    (here / "s" / "00000.arrow").unlink()
    shard = here / "s" / "00001.arrow"
    shard.write_bytes(shard.read_bytes()[:-9])
    upload(here, remote)
    rows = open_rows(f"{remote}/s")
    assert len(rows) == 4
    with pytest.raises(DepthLMError, match=r"00000.arrow cannot be found .* with 2 rows"):
        rows[0]
    with pytest.raises(DepthLMError, match=r"00001.arrow was cut off or changed: .* bytes"):
        rows[2]


def test_a_remote_file_cut_off_under_a_reader(remote):
    url = put(remote, "r.jsonl", b'{"row": 0}\n{"row": 1}\n')
    rows = open_rows(url)
    put(remote, "r.jsonl", b'{"row": 0}\n{"r')
    with pytest.raises(DepthLMError, match=r"r.jsonl has changed since it was opened"):
        rows[1]


def test_samples_of_remote_pictures(remote, record_folder, make_record):
    path = record_folder([make_record()], images=[("far/rgb/a.png", (200, 150))])
    path.write_text(json.dumps(make_record(image="rgb/a.png")))
    upload(path.parent / "far", f"{remote}")
    [far] = DepthSamples(path, media_dir=remote)
    [near] = DepthSamples(path, media_dir=path.parent / "far")
    np.testing.assert_array_equal(far.image, near.image)
    bad = make_record(image="rgb/a.png", intrinsics=[300, 296, 199, 151, 400, 300])
    path.write_text(json.dumps(bad))
    with pytest.raises(RecordError, match=r"rgb/a.png is 200x150 but its intrinsics are for 400"):
        list(DepthSamples(path, media_dir=remote))


def test_validate_remote_records(remote, record_folder, make_record, capsys):
    rows = [make_record(), make_record(image="../a.png"), make_record(image="b.png"), "{"]
    path = record_folder(rows, "in/records.jsonl", [("in/a.png", (200, 150))])
    upload(path.parent, remote)
    assert main(["validate", f"{remote}/records.jsonl", "--json"]) == 1
    far = capsys.readouterr()
    assert main(["validate", str(path), "--json"]) == 1
    near = capsys.readouterr()
    assert far.out == near.out
    assert far.err == near.err.replace(str(path.parent), remote)
    assert main(["validate", str(path), "--media-dir", remote, "--json"]) == 1
    assert capsys.readouterr().out == near.out


@pytest.mark.parametrize("path", ["nonsense://a/r.jsonl", "nonsense://a"])
def test_an_unknown_protocol_says_what_to_install(path, capsys):
    with pytest.raises(DepthLMError, match=rf"{path} cannot be opened .*nonsense.*s3fs"):
        open_rows(path)
    assert main(["validate", path]) == 1
    assert "cannot be opened" in capsys.readouterr().err


def test_shards_are_written_to_local_folders_only(remote):
    with pytest.raises(DepthLMError, match="shards are written to a local folder; upload"):
        write_shards([{}], f"{remote}/s")


def test_local_paths_do_without_fsspec(run_python, record_folder, make_record):
    path = record_folder([make_record()])
    result = run_python(
        "import sys\nfrom depthlm_plugin import DepthSamples\n"
        "from depthlm_plugin.cli import main\nfrom depthlm_plugin.records.rows import open_rows\n"
        f"main(['validate', {str(path)!r}]); open_rows({str(path)!r})[0]\n"
        f"DepthSamples({str(path)!r}, resampling='reference')[0].image\n"
        "print('fsspec' in sys.modules)"
    )
    assert result.stdout == "False\n"
