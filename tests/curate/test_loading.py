"""Readers from outside the package: through the same door, in this process and in others."""

import json
import os
import pickle
import subprocess
import sys

import pytest
from support.curate_checks import assert_labels_the_scene, contents, curate, read_records
from support.raw.small import write_folder
from support.scene import POSES, Pinhole

from depthlm_plugin.curate.registry import make_reader

SMALL = Pinhole(82.0, 81.0, 30.5, 24.0, 64, 48)
READER = '''
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from depthlm_plugin import Camera
from depthlm_plugin.curate.formats.files import read_depth_png
from depthlm_plugin.curate.frames import Frame, Item
from depthlm_plugin.curate.reading import Reader


class Shot(NamedTuple):  # goes to worker processes with its item
    name: str


@dataclass(frozen=True)
class Desk(Reader):
    """My desk.

    Licence: mine.
    """

    scale: float = 1000.0

    SPLITS: ClassVar[tuple[str, ...]] = ("day", "night")

    def items(self):
        for path in sorted((self.root / "rgb").glob("*.png")):
            yield Item(path.stem, Shot(path.name))

    def load(self, item):
        depth_m = read_depth_png(self.root / "depth" / item.at.name, item.frame_id) / self.scale
        camera = Camera(82.0, 81.0, 30.5, 24.0, (64, 48))
        return Frame(self.root / "rgb" / item.at.name, camera, "z", depth_m=depth_m, scene="desk")
'''


@pytest.fixture
def raw(tmp_path):
    """Five small frames: their root and what they show."""
    root = tmp_path / "raw"
    return root, write_folder(root, SMALL, [*POSES, POSES[0]])


def reader_file(tmp_path, text=READER, name="desk.py"):
    path = tmp_path / "readers" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_file_is_a_dataset(raw, tmp_path, capsys):
    root, truth = raw
    path, out = reader_file(tmp_path), tmp_path / "out"
    counts, _ = curate(capsys, path, root, out, "--workers", 1, "--split", "night")
    records = read_records(out / "desk_night.jsonl")
    assert_labels_the_scene(records, truth, out)
    assert {record["source"] for record in records} == {"desk"}
    assert counts["name"] == "desk_night"
    card = (out / "desk_night" / "README.md").read_text()
    assert "Curated with `depthlm curate desk`." in card
    assert "| Licence | mine. |" in card
    curate(capsys, path, root, out, "--workers", 1, "--name", "half", "--option", "scale=2000")
    halves = read_records(out / "half.jsonl")
    for half, record in zip(halves, records, strict=True):
        assert half["depth"] == pytest.approx([depth / 2 for depth in record["depth"]], abs=1e-6)


def test_a_folder_is_a_dataset_too(raw, tmp_path, capsys):
    root, truth = raw
    out = tmp_path / "out"
    shot = "class Shot(NamedTuple):  # goes to worker processes with its item\n    name: str\n"
    text = READER.replace(shot, "from .shot import Shot\n")
    assert text != READER
    folder = reader_file(tmp_path, text, "desk/__init__.py").parent
    (folder / "shot.py").write_text(f"from typing import NamedTuple\n\n{shot}")
    curate(capsys, f"{folder}/", root, out)
    assert_labels_the_scene(read_records(out / "desk_day.jsonl"), truth, out)
    again = pickle.loads(pickle.dumps(make_reader(f"{folder}/", root)))
    assert [item.at.name for item in again.items()] == [f"000{n}.png" for n in range(5)]


_ELSEWHERE = """
import sys
from pathlib import Path
from depthlm_plugin.curate.pipeline.curation import Settings, curate
from depthlm_plugin.curate.pipeline.labelling import Job
from depthlm_plugin.curate.pipeline.output import Output
from depthlm_plugin.curate.registry import make_reader

if __name__ == "__main__":
    reader, root, out, engine = sys.argv[1:]
    output = Output(Path(out), "desk_day")
    job = Job(make_reader(reader, Path(root)), "desk", "desk_day", output.folder, 20, 0, "uniform")
    curate(job, output, None, Settings(workers=2, engine=engine, chunk_frames=1))
"""


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["processes", "ray"])
def test_worker_processes_and_ray_tasks_run_the_file_too(raw, tmp_path, capsys, engine):
    root, _ = raw
    path = reader_file(tmp_path)
    curate(capsys, path, root, tmp_path / "here", "--workers", 1, "--points", 20)
    script = tmp_path / "elsewhere.py"
    script.write_text(_ELSEWHERE)
    # From another folder, by a relative path: workers have neither.
    done = subprocess.run(
        [sys.executable, str(script), "desk.py", str(root), str(tmp_path / "out"), engine],
        cwd=path.parent, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert contents(tmp_path / "out") == contents(tmp_path / "here")


def test_another_code_is_another_configuration(raw, tmp_path, capsys):
    root, _ = raw
    out = tmp_path / "out"
    curate(capsys, reader_file(tmp_path), root, out)
    config = json.loads((out / "desk_day" / "curation.json").read_text())["config"]
    changed = reader_file(tmp_path / "later", READER.replace('scene="desk"', 'scene="table"'))
    _, said = curate(capsys, changed, root, out, status=1)
    assert f'reader: "{config["reader"]}" there, ' in said
    curate(capsys, "folder", root, out, "--option", "depth_scale=1000", "--option", "depth_kind=z")
    shipped = json.loads((out / "folder" / "curation.json").read_text())["config"]
    assert "reader" not in shipped


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import json\n", "desk.py defines no reader, a class derived from Reader"),
        (
            READER + "\n\n@dataclass(frozen=True)\nclass Chair(Desk):\n    pass\n",
            "desk.py defines 2 readers, Desk and Chair; a dataset is a file of its own",
        ),
        (
            READER.replace("@dataclass(frozen=True)\nclass Desk", "class Desk"),
            "put @dataclass(frozen=True) above class Desk",
        ),
        (READER.replace("def load", "def read"), "class Desk lacks load"),
        (
            "import json\n\nimport nothing_of_this_name\n",
            "desk.py:3: the reader cannot be loaded: ModuleNotFoundError: No module named 'no",
        ),
        ("x = 1\ndef items(:\n", "desk.py:2: the reader cannot be loaded: SyntaxError"),
        ("def f():\n    return 1 / 0\n\nf()\n", "desk.py:2: the reader cannot be loaded: ZeroDiv"),
        (READER.replace("frozen=True", "frozen=False"), "desk.py:15: the reader cannot be loaded"),
    ],
    ids=["none", "several", "no dataclass", "abstract", "import", "syntax", "zero", "not frozen"],
)
def test_what_is_no_reader_says_why(tmp_path, capsys, text, found):
    _, said = curate(capsys, reader_file(tmp_path, text), tmp_path, tmp_path / "out", status=1)
    assert found in said
    assert not (tmp_path / "out").exists()


def test_helpers_with_an_underscore_and_imported_readers_do_not_count(tmp_path):
    text = READER.replace("class Desk(Reader)", "class _Base(Reader)")
    text += "\n\nfrom depthlm_plugin.curate.datasets.tum import TumRgbd\n"
    text += "\n\n@dataclass(frozen=True)\nclass Chair(_Base):\n    pass\n"
    path = reader_file(tmp_path, text, "chair.py")
    assert type(make_reader(str(path), tmp_path)).__name__ == "Chair"


def test_paths_that_are_no_dataset(tmp_path, capsys):
    _, said = curate(capsys, tmp_path / "nowhere.py", tmp_path, tmp_path / "out", status=1)
    assert "nowhere.py does not exist; expected the Python file of a reader" in said
    (tmp_path / "empty").mkdir()
    _, said = curate(capsys, tmp_path / "empty", tmp_path, tmp_path / "out", status=1)
    assert "empty/__init__.py does not exist" in said
    path = reader_file(tmp_path, name="kitti.py")
    _, said = curate(capsys, path, tmp_path, tmp_path / "out", status=1)
    assert "has the name of a dataset that is shipped" in said
    assert "rename the file, as my_kitti.py" in said
    _, said = curate(capsys, "desk", tmp_path, tmp_path / "out", status=1)
    assert "a reader of your own is given by its path, as ./desk.py" in said
    options = ["--option", "scal=1"]
    _, said = curate(capsys, reader_file(tmp_path), tmp_path, tmp_path / "out", *options, status=1)
    assert "did you mean 'scale'" in said


@pytest.mark.slow
def test_a_reader_that_loads_a_model_has_one_process_unless_told_otherwise(tmp_path, capsys):
    root = tmp_path / "raw"
    write_folder(root, SMALL, [POSES[0]] * 65)  # more than a chunk
    process = '    def load(self, item):\n        import os\n        noted = (f"by {os.getpid()}",)'
    text = READER.replace("    def load(self, item):", process)
    text = text.replace('scene="desk")', 'scene="desk", noted=noted)')
    text = text.replace("    scale:", "    WORKERS: ClassVar[int | None] = 1\n    scale:")
    file = reader_file(tmp_path, text)
    for options, alone in ((["--workers", 2], False), ([], True)):
        counts, _ = curate(capsys, file, root, tmp_path / f"{alone}", *options)
        assert (counts["noted"].keys() == {f"by {os.getpid()}"}) == alone
