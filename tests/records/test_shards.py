import contextlib
import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from depthlm_plugin import DepthSamples
from depthlm_plugin.errors import ConfigError, DepthLMError
from depthlm_plugin.records.checksums import sealed
from depthlm_plugin.records.raw import parse_row
from depthlm_plugin.records.rows import open_rows, read_rows
from depthlm_plugin.records.shard_index import read_index, write_index
from depthlm_plugin.records.shard_writer import write_shards

integers = st.integers(-(2**70), 2**70) | st.integers(0, 2**16)
rounded = st.integers(0, 10**8).map(lambda thousandths: thousandths / 1000)
floats = st.floats(allow_nan=False) | st.floats(width=32, allow_nan=False) | rounded
numbers = integers | floats
scalars = st.none() | st.booleans() | numbers | st.text() | st.just("\ud800")
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner)
)
pairs = st.lists(st.lists(integers, min_size=2, max_size=2)) | st.lists(
    st.lists(floats, min_size=2, max_size=2)
)
numeric = st.lists(floats) | st.lists(integers) | st.lists(numbers)
records = st.fixed_dictionaries(
    {},
    optional={
        "image": st.text() | values,
        "pixel_coords": pairs | values,
        "depth": numeric | values,
        "intrinsics": numeric | st.lists(numeric) | values,
        "pose": st.lists(st.lists(floats, min_size=4, max_size=4)) | values,
        "depth_kind": st.sampled_from(["z", "distance", None]),
        "timestamp": scalars,
        "scene": scalars,
        "extra": values,
        "timestamp_integer": values,
        "weather": values,
    },
)


def typed(value):
    """The value with every type and sign told, so that 1, 1.0, True and -0.0 differ."""
    if isinstance(value, dict):
        return {key: typed(inner) for key, inner in value.items()}
    return (
        [typed(inner) for inner in value] if isinstance(value, list) else (type(value), repr(value))
    )


@given(st.lists(records, min_size=1, max_size=8), st.integers(1, 4), st.integers(1, 4))
@example([{}], 1, 1)
@example([{"depth": [True]}, {"depth": [2**53 + 1, 0.5]}, {"depth": [[]]}, {"depth": []}], 9, 2)
@example([{"pixel_coords": [[1, 2]]}, {"pixel_coords": [[1.5, 2.0]]}, {"pixel_coords": []}], 9, 9)
def test_every_record_comes_back_equal(given_records, rows_per_shard, rows_per_batch):
    # What JSON text itself cannot carry is none of the shards' business.
    given_records = json.loads(json.dumps(given_records))
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "shards")
        sizes = {"rows_per_shard": rows_per_shard, "rows_per_batch": rows_per_batch}
        write_shards(given_records, path, **sizes)
        rows = open_rows(path)
        found = [rows[row] for row in range(len(rows))]
        assert [raw for _, raw in found] == given_records
        assert [where for where, _ in found] == [
            f"{row // rows_per_shard:05d}.arrow row {row % rows_per_shard}"
            for row in range(len(given_records))
        ]
        assert [(where, parse_row(text, where)) for where, text in read_rows(path)] == found


@given(st.lists(st.lists(floats) | st.lists(integers, min_size=1), max_size=4), pairs)
@example([[2**63], [-(2**63)], [2**63 - 1]], [[-0.0, 1.0]])
def test_numbers_keep_types_and_signs(depths, pixels):
    given_records = [{"depth": depth} for depth in depths] + [{"pixel_coords": pixels}]
    with tempfile.TemporaryDirectory() as folder:
        write_shards(given_records, os.path.join(folder, "s"), rows_per_batch=2)
        found = [raw for _, raw in open_rows(os.path.join(folder, "s"))]
    assert typed(found) == typed(given_records)


@pytest.mark.parametrize(
    ("values", "stored"),
    [
        ([[[0, 65535], [3, 4]], []], "list<item: fixed_size_list<item: uint16>[2]>"),
        ([[[0, 65536]]], "list<item: fixed_size_list<item: int64>[2]>"),
        ([[[0, 1]], [[-1, 0]]], "list<item: fixed_size_list<item: int64>[2]>"),
        ([[[0.5, 1.5]]], "list<item: fixed_size_list<item: float>[2]>"),
        ([[[0.5, 1]]], "list<item: fixed_size_list<item: float>[2]>"),
        ([[[0.1 + 0.2, 1.0]]], "list<item: fixed_size_list<item: double>[2]>"),
        ([[[float(np.float32(2.3517)), math.nan]]], "list<item: fixed_size_list<item: float>[2]>"),
        ([[[-0.0, 1e39]]], "list<item: fixed_size_list<item: double>[2]>"),
        ([[[1, 2, 3]]], "string"),
        ([[[1, 2], [3]]], "string"),
        ([[1, 2]], "string"),
        ([[[True, False]]], "string"),
        ([[[2**53 + 1, 0.5]]], "string"),
        (["1, 2"], "string"),
    ],
)
def test_a_shard_has_the_narrowest_columns_that_lose_nothing(tmp_path, values, stored):
    write_shards([{"pixel_coords": value} for value in values], str(tmp_path / "s"))
    with pyarrow.ipc.open_file(str(tmp_path / "s" / "00000.arrow")) as file:
        assert stored in map(str, file.schema.types)
    assert str([raw["pixel_coords"] for _, raw in open_rows(tmp_path / "s")]) in (
        str(values),
        str(values).replace("1]", "1.0]"),  # an integer among fractions
    )


def test_nan_and_infinity_survive(tmp_path):
    write_shards([{"depth": [math.nan, math.inf, -math.inf], "a": math.nan}], str(tmp_path / "s"))
    _, raw = open_rows(tmp_path / "s")[0]
    assert str(raw) == str({"depth": [math.nan, math.inf, -math.inf], "a": math.nan})


def test_columns_that_no_row_needs_are_left_out(tmp_path, make_record):
    rows = [make_record(), make_record(), make_record(pose=np.eye(4).tolist())]
    write_shards(rows, str(tmp_path / "s"), rows_per_shard=2)
    files = [pyarrow.ipc.open_file(str(tmp_path / "s" / f"0000{i}.arrow")) for i in (0, 1)]
    names = [file.schema.names for file in files]
    common = ["image", "intrinsics", "pixel_coords_integer", "depth"]
    assert names == [[*common, "depth_kind"], [*common, "pose", "depth_kind"]]


def test_long_records_make_shorter_shards(tmp_path):
    write_shards([{"note": "x" * 40_000_000}] * 6, str(tmp_path / "s"))
    index = json.loads((tmp_path / "s" / "shards.json").read_text())
    assert [shard["rows"] for shard in index["shards"]] == [4, 2]  # 128 MiB and over


def test_shards_are_records_like_any_other(record_folder, make_record):
    path = record_folder([make_record(), make_record(depth=[1, 2.5, 3])])
    write_shards((parse_row(text, at) for at, text in read_rows(path)), str(path.parent / "s"))
    options = {"name": "r", "media_dir": path.parent, "points_per_record": "all"}
    [expected, found] = [DepthSamples(file, **options) for file in (path, path.parent / "s")]
    assert [sample.view for sample in found] == [sample.view for sample in expected]
    alone = DepthSamples(path.parent / "s" / "00000.arrow", **options)
    assert [sample.target for sample in alone] == [sample.target for sample in expected]


@pytest.fixture
def folder(tmp_path, make_record):
    """A finished folder: two shards of three rows."""
    path = tmp_path / "shards"
    write_shards([make_record(scene=f"s{i}") for i in range(6)], str(path), rows_per_shard=3)
    return path


def unmarked(path):
    with pyarrow.ipc.open_file(str(path)) as file:
        table = file.read_all()
    with pyarrow.ipc.new_file(str(path), table.schema.remove_metadata()) as writer:
        writer.write_table(table)


def with_wild_offsets(path):
    """Lists that begin far outside the file; the size stays."""
    content = path.read_bytes()
    offsets = np.arange(0, 10, 3, dtype=np.int32).tobytes()  # three depths a record
    assert offsets in content
    wild = np.array([0, 2**30, 2**30 + 3, 2**30 + 6], np.int32).tobytes()
    path.write_bytes(content.replace(offsets, wild))


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (Path.unlink, "cannot be found .* with 3 rows"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), r"says bytes (\d+), found \d+"),
        (lambda path: path.write_bytes(b""), r"says bytes \d+, found 0"),
        (lambda path: path.write_bytes(bytes(path.stat().st_size)), "cannot be read after row 0"),
        (with_wild_offsets, "cannot be read after row 0"),
    ],
    ids=["missing", "cut off", "empty", "zeros", "wild offsets"],
)
def test_a_damaged_shard_is_named_when_it_is_needed(folder, change, found):
    change(folder / "00001.arrow")
    rows = open_rows(folder)  # reads the index only
    assert len(rows) == 6
    assert rows[2][1]["scene"] == "s2"
    with pytest.raises(DepthLMError, match=rf"00001.arrow .*{found}"):
        rows[3]
    with pytest.raises(DepthLMError, match=rf"00001.arrow .*{found}"):
        list(read_rows(folder))


@pytest.mark.parametrize(
    ("scenes", "found"),
    [
        (["s3", "s4"], "rows 3, found 2"),
        (["s3", "s4", None], "checksum [0-9a-f]{8}, found [0-9a-f]{8}"),
        (["s3", "s4", "s6"], "checksum [0-9a-f]{8}, found [0-9a-f]{8}"),
    ],
    ids=["fewer rows", "a missing value", "another value"],
)
def test_another_shard_in_place_of_one_is_noticed(folder, make_record, scenes, found):
    rows = [make_record(scene=scene) for scene in scenes]
    write_shards(rows, str(folder.parent / "other"))
    shard = folder / "00001.arrow"
    shutil.copyfile(folder.parent / "other" / "00000.arrow", shard)
    [first, second] = read_index(str(folder))
    write_index(str(folder), [first, replace(second, bytes=shard.stat().st_size)])
    expected = f"00001.arrow was cut off or changed: the index of its folder says {found}"
    with pytest.raises(DepthLMError, match=expected):
        open_rows(folder)[5]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{", "cannot be read"),
        ("[]", "has the format None, expected 2"),
        ('{"format": 1}', "has the format 1, expected 2; write the folder again"),
        ('{"format": 2, "rows": 0, "shards": []}', "its checksum differs"),
        ('{"format": 2, "sum": "crc32=00000000", "rows": 3}', "is damaged.*'shards'"),
        (
            '{"format": 2, "sum": "crc32=00000000", "rows": 3, "shards": []}',
            "do not add up to 3 rows",
        ),
        (
            '{"format": 2, "sum": "crc32=00000000", "rows": 1, "shards":'
            ' [{"file": "../a.arrow", "rows": 1, "bytes": 1, "checksum": ""}]}',
            "a shard lies outside the folder",
        ),
    ],
)
def test_a_damaged_index_is_refused(folder, text, found):
    (folder / "shards.json").write_bytes(sealed(text.encode()))
    for read in (open_rows, lambda path: next(read_rows(path))):
        with pytest.raises(DepthLMError, match=f"shards.json.*{found}"):
            read(folder)


def read_all(path):
    """Every record of a path, by number and in order; "refused" where it is."""
    found = []
    try:
        rows = open_rows(path)
        found = ["refused"] * len(rows)
        for row in range(len(rows)):
            with contextlib.suppress(DepthLMError):
                found[row] = rows[row][1]
        in_order = [parse_row(text, where) for where, text in read_rows(path)]
        assert found == in_order
    except DepthLMError:
        found.append("refused")
    return found


@pytest.mark.parametrize("alone", [False, True], ids=["in its folder", "alone"])
@pytest.mark.parametrize(
    "seed", [*range(8), *(pytest.param(n, marks=pytest.mark.slow) for n in range(8, 40))]
)
def test_flipped_bits_are_never_read_as_other_records(folder, seed, alone):
    rng = random.Random(seed)
    given_records = read_all(folder)
    damaged = folder / "00001.arrow" if alone else rng.choice(sorted(folder.iterdir()))
    expected = given_records[3:] if alone else given_records
    content = bytearray(damaged.read_bytes())
    footer = int.from_bytes(content[-10:-6], "little") + 18  # not read: for other programs
    flipped = rng.sample(range(8 * len(content)), rng.randint(1, 8))
    for bit in flipped:
        content[bit // 8] ^= 1 << bit % 8
    damaged.write_bytes(content)
    found = read_all(damaged if alone else folder)
    assert all(record in ("refused", *expected[at : at + 1]) for at, record in enumerate(found))
    in_footer = damaged.suffix == ".arrow" and min(flipped) // 8 >= len(content) - footer
    assert ("refused" in found) != in_footer


def test_a_shard_of_format_1_alone_is_refused(tmp_path):
    path = tmp_path / "00000.parquet"
    schema = pyarrow.schema({"depth": pyarrow.binary()}, metadata={"depthlm.shard": "1"})
    pyarrow.parquet.write_table(pyarrow.table({"depth": [b"H\0\1\0"]}, schema), path)
    for read in (open_rows, lambda path: next(read_rows(path))):
        with pytest.raises(DepthLMError, match=r"00000.parquet is a shard of an earlier version"):
            read(path)


@pytest.mark.parametrize("change", [unmarked, lambda path: path.write_bytes(b"ARROW1")])
def test_an_arrow_file_that_is_no_shard_is_refused(folder, change):
    change(folder / "00000.arrow")
    for read in (open_rows, lambda path: next(read_rows(path))):
        with pytest.raises(DepthLMError, match=r"00000.arrow cannot be read after row 0 "):
            read(folder / "00000.arrow")


def test_a_finished_folder_is_replaced_only_when_asked(folder):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(ConfigError, match=r"is a finished folder of shards; .*--overwrite"):
        write_shards([{"scene": "new"}], str(folder))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    write_shards([{"scene": "new"}], str(folder), overwrite=True)
    assert list(open_rows(folder)) == [("00000.arrow row 0", {"scene": "new"})]
    assert sorted(path.name for path in folder.parent.iterdir()) == ["shards"]


def test_a_replacement_cut_off_between_its_renames(folder):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    work = folder.parent / ".shards.0123456789abcdef.depthlm.partial"
    (work / "new").mkdir(parents=True)
    (work / "unfinished.lock").write_text("depthlm has not finished shards\n")
    folder.rename(work / "old")
    for read in (open_rows, lambda path: next(read_rows(path))):
        with pytest.raises(DepthLMError, match=r"shards was being replaced .* or rename .*/old,"):
            read(folder)
    with pytest.raises(ConfigError, match="is a finished folder of shards"):
        write_shards([{"scene": "new"}], str(folder))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert sorted(path.name for path in folder.parent.iterdir()) == ["shards"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_of_other_things_is_never_replaced(tmp_path, overwrite):
    (tmp_path / "photo.png").write_bytes(b"dear")
    with pytest.raises(ConfigError, match="is there and is no folder of shards"):
        write_shards([{}], str(tmp_path), overwrite=overwrite)
    assert (tmp_path / "photo.png").read_bytes() == b"dear"


MARKER = "depthlm has not finished s\n"


def _file(path):
    path.write_bytes(b"dear")


def _folder(path):
    path.mkdir()
    (path / "dear.txt").write_bytes(b"dear")


def _marked(path):
    """A folder named like a run's, with its marker, that holds something else too."""
    _folder(path)
    (path / "unfinished.lock").write_text(MARKER)


def _link(path):
    (path.parent / "elsewhere").mkdir(exist_ok=True)
    (path.parent / "elsewhere" / "00000.arrow").write_bytes(b"dear")
    path.symlink_to(path.parent / "elsewhere")


def _linked_lock(path):
    path.mkdir()
    target = path.parent / "lock"
    target.write_text(MARKER)
    (path / "unfinished.lock").symlink_to(target)


@pytest.mark.parametrize("make", [_file, _folder, _marked, _link, _linked_lock])
@pytest.mark.parametrize(
    "name", ["s.partial", "s.old", "s.lock", ".s.0123456789abcdef.depthlm.partial"]
)
def test_what_another_made_beside_the_folder_stays(tmp_path, name, make):
    make(tmp_path / name)

    def others():
        paths = (
            path for path in tmp_path.rglob("*") if "s" not in path.relative_to(tmp_path).parts
        )
        return {path: path.is_file() and path.read_bytes() for path in paths}

    before = others()
    for overwrite in (False, True):
        assert not write_shards([{}], str(tmp_path / "s"), overwrite=overwrite).removed_unfinished
        assert others() == before


def test_what_lies_beside_the_shards_in_a_folder_stays(folder):
    (folder / "photo.png").write_bytes(b"dear")
    with pytest.raises(ConfigError, match=r"is not overwritten, as it holds 'photo.png'"):
        write_shards([{}], str(folder), overwrite=True)
    assert (folder / "photo.png").read_bytes() == b"dear"


def test_shards_may_be_read_by_whoever_the_umask_lets(tmp_path, folder):
    (tmp_path / "plain").mkdir()
    assert folder.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_linked_folder_is_replaced_where_it_is(tmp_path, folder):
    (tmp_path / "link").symlink_to(folder)
    write_shards([{"scene": "new"}], str(tmp_path / "link"), overwrite=True)
    assert (tmp_path / "link").is_symlink()
    assert [raw for _, raw in open_rows(folder)] == [{"scene": "new"}]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "shards"]


@pytest.mark.parametrize("wrong", [{"rows_per_shard": 0}, {"rows_per_batch": 0}])
def test_sizes_below_one_are_refused(tmp_path, wrong):
    with pytest.raises(ConfigError, match="must be 1 or more"):
        write_shards([{}], str(tmp_path / "s"), **wrong)


@pytest.mark.parametrize(
    ("rows", "error", "found"),
    [
        ([], DepthLMError, "there is no record to write"),
        ([{}, {"a": {1, 2}}], DepthLMError, r"record 1 \(from 0\) holds under one of \['a'\]"),
        ((1 // (3 - row) for row in range(9)), ZeroDivisionError, "division"),
    ],
    ids=["nothing", "no JSON", "the reader fails"],
)
def test_a_failure_leaves_nothing_behind(tmp_path, rows, error, found):
    rows = ({"row": row} if isinstance(row, int) else row for row in rows)
    with pytest.raises(error, match=found):
        write_shards(rows, str(tmp_path / "s"), rows_per_shard=1)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def writer(tmp_path):
    """A process that has written two shards of `tmp_path/s` and waits for the third record."""
    code = (
        "import sys, time\nfrom depthlm_plugin.records.shard_writer import write_shards\n"
        "def rows():\n yield {'row': 0}\n yield {'row': 1}\n print('waits', flush=True)\n"
        " time.sleep(600)\n"
        "write_shards(rows(), sys.argv[1], rows_per_shard=1)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "s")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "waits\n"
        yield process
        process.kill()


def test_unfinished_shards_are_no_records(tmp_path, writer):
    [partial] = tmp_path.glob(".s.*.depthlm.partial")
    assert (partial / "new" / "00001.arrow").exists()
    assert not (tmp_path / "s").exists()
    with pytest.raises(DepthLMError, match=r"/s is being written by another process"):
        write_shards([{}], str(tmp_path / "s"))
    for kill in (False, True):
        if kill:
            writer.send_signal(signal.SIGKILL)
            writer.wait()
        for read in (open_rows, lambda path: next(read_rows(path))):
            with pytest.raises(DepthLMError, match=r"\.s\.\w+\.depthlm\.partial is not finished"):
                read(partial)
            with pytest.raises(DepthLMError, match="s does not exist"):
                read(tmp_path / "s")
    summary = write_shards([{"row": "new"}], str(tmp_path / "s"))
    assert summary.removed_unfinished
    assert list(open_rows(tmp_path / "s")) == [("00000.arrow row 0", {"row": "new"})]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s"]
