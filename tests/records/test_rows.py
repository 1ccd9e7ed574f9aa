import json
import multiprocessing
import pickle
import time
import tracemalloc
from datetime import datetime

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from depthlm_plugin.errors import DepthLMError
from depthlm_plugin.records.line_index import Lines, find_lines
from depthlm_plugin.records.raw import parse_row
from depthlm_plugin.records.rows import open_rows, read_rows
from depthlm_plugin.records.shard_writer import write_shards

shared_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def in_order(path):
    return list(read_rows(path))


def one_by_one(rows):
    """All rows, last first, so that none can come from reading on."""
    found = [rows[row] for row in reversed(range(len(rows)))]
    return found[::-1]


def as_parsed(found):
    return [(where, parse_row(raw, where) if isinstance(raw, str) else raw) for where, raw in found]


line = st.one_of(
    st.just(b'{"row": 1}'),
    st.sampled_from(
        [b"", b" ", b"\t \r", b"\x0b\x0c", b' {"row": 2}', b"\xff\xfe", b"\xc2\xa0", b"\r"]
    ),
    st.binary(max_size=8),
)


@given(st.lists(line, max_size=12), st.sampled_from([b"\n", b"\r\n", b"\n\n"]), st.booleans())
@example([], b"\n", False)
@example([b""], b"\n", True)
@example([b'{"row": 1}', b"", b"", b'{"row": 2}'], b"\n", False)
@shared_folder
def test_jsonl_by_number_is_jsonl_in_order(tmp_path, lines, ending, at_end):
    path = tmp_path / "r.jsonl"
    path.write_bytes(ending.join(lines) + ending * at_end)
    assert one_by_one(open_rows(path)) == in_order(path)


def test_line_numbers_count_the_blank_lines(tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_bytes(b'\n{"row": 0}\r\n  \n\xff\n\n\n{"row": 2}')
    assert list(open_rows(path)) == [
        ("r.jsonl:2", '{"row": 0}\r\n'),
        ("r.jsonl:4", "\ufffd\n"),
        ("r.jsonl:7", '{"row": 2}'),
    ]


def test_lines_across_chunks_and_blocks(tmp_path):
    # Over 16 MiB and 4096 lines, so that lines and blank lines straddle what is read at once.
    path = tmp_path / "r.jsonl"
    lines = [f'{{"row": {row}, "text": "{"x" * (row % 7000)}"}}\n' for row in range(6000)]
    lines[77] = lines[4097] = lines[5999] = " \n"
    path.write_text("".join(lines))
    assert path.stat().st_size > 16 * 2**20
    rows = open_rows(path)
    expected = [(f"r.jsonl:{i}", text) for i, text in enumerate(lines, 1) if text.strip()]
    assert one_by_one(rows) == expected


@pytest.mark.parametrize("offset", [-1, 0, 1])
def test_a_line_that_begins_at_a_chunk(tmp_path, offset):
    path = tmp_path / "r.jsonl"
    first = b"x" * (16 * 2**20 - 1 + offset) + b"\n"
    path.write_bytes(first + b"\n \n{}\n")
    lines = find_lines(str(path))
    assert [lines[i] for i in range(len(lines))] == [(1, first), (4, b"{}\n")]


@pytest.mark.parametrize("blank", [b"\n", b" \r\n"])
def test_megabytes_of_blank_lines_are_passed_over(tmp_path, blank):
    path = tmp_path / "r.jsonl"
    count = 10_000_000 // len(blank)
    path.write_bytes(b"[1]\n" + blank * count + b" [2]\n" + blank * count + b"[3]")
    tracemalloc.start()
    begun = time.process_time()
    lines = find_lines(str(path))
    took_s = time.process_time() - begun
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [lines[i] for i in range(len(lines))] == [
        (1, b"[1]\n"),
        (count + 2, b" [2]\n"),
        (2 * count + 3, b"[3]"),
    ]
    assert took_s < 5
    assert peak_bytes < 250e6


def test_offsets_beyond_32_bits(tmp_path):
    path = tmp_path / "r.jsonl"
    with path.open("wb") as file:  # sparse: it takes no room on the disk
        file.write(b'{"row": 0}\n')
        file.seek(5 * 2**30)
        file.write(b'\n{"row": 1}\n{"row": 2}\n')
    # As scanning finds them, which takes seconds for so many zeros.
    starts = np.array([0, 11, *(5 * 2**30 + np.array([1, 12, 23]))])
    lines = Lines(str(path), starts, np.zeros((2, 0), np.int64))
    assert [lines[0], lines[2], lines[3]] == [
        (1, b'{"row": 0}\n'),
        (3, b'{"row": 1}\n'),
        (4, b'{"row": 2}\n'),
    ]


@pytest.mark.parametrize("suffix", ["jsonl", "json", "parquet"])
@pytest.mark.parametrize("in_folder", [False, True])
def test_every_format_by_number_is_as_in_order(tmp_path, save_rows, make_record, suffix, in_folder):
    for name, count in (("b", 3), ("a", 2)):
        rows = [make_record(scene=f"{name}{row}") for row in range(count)]
        save_rows(tmp_path / f"{name}.{suffix}", rows)
    path = tmp_path if in_folder else tmp_path / f"b.{suffix}"
    assert as_parsed(one_by_one(open_rows(path))) == as_parsed(in_order(path))
    assert len(open_rows(path)) == (5 if in_folder else 3)


def test_a_folder_mixes_formats_in_name_order(tmp_path, save_rows):
    for number, name in enumerate(["a.parquet", "b.jsonl", "c.json", "dataset_info.json"]):
        save_rows(tmp_path / name, [{"row": number}])
    (tmp_path / "README.md").write_text("no records")
    found = as_parsed(one_by_one(open_rows(tmp_path)))
    assert found == as_parsed(in_order(tmp_path))
    assert [raw["row"] for _, raw in found] == [0, 1, 2]


@pytest.mark.parametrize(("cells", "size"), [("nothing", "2.7"), ("the same text", "2.2")])
def test_parquet_that_grows_beyond_memory_is_refused(tmp_path, cells, size):
    path = tmp_path / "r.parquet"
    if cells == "nothing":  # 64 million times, in five columns
        table = pyarrow.table(dict.fromkeys("abcde", pyarrow.nulls(2**26)))
    else:
        text = pyarrow.array(["x" * 2**24])
        table = pyarrow.table({"note": pyarrow.chunked_array([text] * 130)})
    pyarrow.parquet.write_table(
        table, path, 2**26, compression="zstd", use_dictionary=False, write_statistics=False
    )
    assert path.stat().st_size < 1_000_000
    for read in (open_rows, lambda path: next(read_rows(path))):
        with pytest.raises(DepthLMError, match=rf"row group 0 takes {size} GB of memory, over"):
            read(path)


def test_parquet_of_many_row_groups(tmp_path):
    table = pyarrow.Table.from_pylist([{"row": row} for row in range(1000)])
    pyarrow.parquet.write_table(table, tmp_path / "r.parquet", row_group_size=7)
    rows = open_rows(tmp_path / "r.parquet")
    assert [rows[row] for row in (999, 0, 7, 6, 500)] == [
        (f"r.parquet row {row}", {"row": row}) for row in (999, 0, 7, 6, 500)
    ]


def test_parquet_gives_what_json_cannot_hold(tmp_path, save_rows):
    extra = {"taken": datetime(2025, 3, 1), "thumbnail": b"\xff\xd8"}
    save_rows(tmp_path / "r.parquet", [extra])
    assert open_rows(tmp_path / "r.parquet")[0] == ("r.parquet row 0", extra)


@pytest.mark.parametrize("row", [-1, 2])
@pytest.mark.parametrize("name", ["r.jsonl", "r.json", "r.parquet", "."])
def test_rows_that_do_not_exist(tmp_path, save_rows, name, row):
    save_rows(tmp_path / ("r.jsonl" if name == "." else name), [{"row": 0}, {"row": 1}])
    with pytest.raises(IndexError, match=f"row {row} of 2"):
        open_rows(tmp_path / name)[row]


@pytest.fixture(params=["r.jsonl", "r.json", "r.parquet", "shards", "folder"])
def opened(request, tmp_path, save_rows, make_record):
    """Rows of every kind, with what they hold."""
    path = tmp_path / request.param
    records = [make_record(scene=f"scene {row}") for row in range(20)]
    if request.param == "shards":
        write_shards(records, str(path), rows_per_shard=6, rows_per_batch=2)
    elif request.param == "folder":
        path.mkdir()
        save_rows(path / "a.jsonl", records[:9])
        save_rows(path / "b.parquet", records[9:])
    else:
        save_rows(path, records)
    return open_rows(path), records


def scenes(rows):
    return [raw["scene"] for _, raw in as_parsed(one_by_one(rows))]


def send_scenes(rows, queue):
    queue.put(scenes(rows))


# Every spawned process imports the package anew, which takes seconds.
@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
@pytest.mark.parametrize("used", [False, True], ids=["fresh", "used"])
def test_rows_in_other_processes(opened, method, used):
    rows, records = opened
    expected = [record["scene"] for record in records]
    if used:
        assert scenes(rows) == expected
    context = multiprocessing.get_context(method)
    queue = context.SimpleQueue()
    workers = [context.Process(target=send_scenes, args=(rows, queue)) for _ in range(2)]
    for worker in workers:
        worker.start()
    found = [queue.get() for _ in workers]
    for worker in workers:
        worker.join()
    assert found == [expected, expected]
    assert scenes(rows) == expected


@pytest.mark.parametrize("used", [False, True], ids=["fresh", "used"])
def test_pickled_rows(opened, used):
    rows, records = opened
    if used:
        rows[0]
    assert scenes(pickle.loads(pickle.dumps(rows))) == [record["scene"] for record in records]


def test_a_used_parquet_file_pickles_no_rows(tmp_path):
    records = [{"image": "x" * 1000, "n": row} for row in range(500)]
    write_shards(records, str(tmp_path / "s"))
    rows = open_rows(tmp_path / "s")
    rows[0]
    assert len(pickle.dumps(rows)) < 2000


@pytest.mark.parametrize("change", ["longer", "shorter", "gone"])
def test_a_jsonl_file_that_changes_is_noticed(tmp_path, save_rows, change):
    path = tmp_path / "r.jsonl"
    save_rows(path, [{"row": row} for row in range(9)])
    rows = open_rows(path)
    content = path.read_bytes()
    if change == "gone":
        path.unlink()
    else:
        path.write_bytes(content + b"{}\n" if change == "longer" else content[:-12])
    with pytest.raises(DepthLMError, match=r"r.jsonl (has changed|cannot be read any more)"):
        rows[3]


def test_a_jsonl_file_cut_off_under_a_reader_is_noticed(tmp_path, save_rows):
    path = tmp_path / "r.jsonl"
    save_rows(path, [{"row": row} for row in range(9)])
    rows = open_rows(path)
    assert json.loads(rows[8][1]) == {"row": 8}
    with path.open("r+b") as file:
        file.truncate(50)
    with pytest.raises(DepthLMError, match=r"r.jsonl has changed since it was opened"):
        rows[8]


def test_a_damaged_row_group_names_file_and_row(tmp_path):
    path = tmp_path / "r.parquet"
    table = pyarrow.Table.from_pylist([{"text": f"{row}" * 99} for row in range(100)])
    pyarrow.parquet.write_table(table, path, row_group_size=50)
    group = pyarrow.parquet.read_metadata(path).row_group(1).column(0)
    content = bytearray(path.read_bytes())
    start = group.dictionary_page_offset
    content[start : start + 60] = bytes(60)
    path.write_bytes(content)
    rows = open_rows(path)
    assert rows[49][0] == "r.parquet row 49"
    with pytest.raises(DepthLMError, match=r"r.parquet cannot be read after row 50 .*complete\?"):
        rows[50]


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("absent.jsonl", None, "absent.jsonl does not exist"),
        ("records.csv", b"a,b", "records are .jsonl, .json, .parquet, .arrow files"),
        ("records.json", b'[{"image": ', "is not valid JSON.*complete"),
        pytest.param("records.json", b"[" * 100_000, "is not valid JSON", id="deep"),
        ("records.json", b'{"image": "a.png"}', "expected a list of records"),
        ("records.json", b"\xff\xfe", "is not valid JSON"),
        ("records.parquet", b"PAR1 and no more", "cannot be read after row 0.*complete"),
        ("folder", ..., "folder holds no .jsonl, .json, .parquet, .arrow file"),
    ],
)
@pytest.mark.parametrize("read", [open_rows, lambda path: next(read_rows(path))])
def test_what_holds_no_records_is_refused_at_once(tmp_path, read, name, content, found):
    path = tmp_path / name
    if content is ...:
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(DepthLMError, match=found):
        read(path)
