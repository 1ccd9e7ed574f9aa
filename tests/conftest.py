"""What the tests share: tiny records on disk, fresh interpreters, and the data of the workshop."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
IBIMS = ROOT.parent / "shared" / "data" / "ibims1"

# Scripts that tests start find what tests share.
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [str(ROOT / "tests"), os.environ.get("PYTHONPATH")])
)

# No deadline: the machines that run this are shared. CI tries the same examples every time, so that
# a failure is its change's; everyone else keeps looking for new ones.
settings.register_profile("depthlm", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("depthlm")


def pytest_configure(config: pytest.Config) -> None:
    """Keep compiled files: hundreds of Pythons start here, and LLaMA-Factory compiles for 8 s."""
    if sys.dont_write_bytecode:  # nowhere beside the sources, as whoever set it wished
        sys.dont_write_bytecode = False
        sys.pycache_prefix = str(config.cache.mkdir("pycache"))
        os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave folders alone whose tests are all slow, when no slow test is asked for.

    To import them is to import torch and LLaMA-Factory, which takes longer than most tests.
    """
    slow = collection_path in (ROOT / "tests" / "host", ROOT / "tests" / "benchmarks")
    return True if slow and config.option.markexpr == "not slow" else None


@pytest.fixture(scope="session")
def ibims():
    """The folder of the iBims-1 development subset, which is never part of the repository."""
    if not (IBIMS / "ibims1_dev.jsonl").is_file():
        pytest.skip(f"iBims-1 development subset not found at {IBIMS}")
    return IBIMS


@pytest.fixture(scope="session")
def make_record():
    """Return a valid record of a 200x150 image; keyword arguments change it, `...` removes."""

    def make(**changes):
        record = {
            "image": "a.png",
            "intrinsics": [150.0, 148.0, 99.0, 76.0, 200, 150],
            "pixel_coords": [[100, 75], [50, 60], [150, 90]],
            "depth": [1.5, 2.5, 3.5],
            "depth_kind": "z",
        } | changes
        return {key: value for key, value in record.items() if value is not ...}

    return make


@pytest.fixture
def record_folder(tmp_path):
    """Write noise images and a records file (rows: dicts, or raw lines); return its path."""

    def write(rows, name="records.jsonl", images=(("a.png", (200, 150)),)):
        for image, (width, height) in images:
            path = tmp_path / image
            path.parent.mkdir(parents=True, exist_ok=True)
            noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
            Image.fromarray(noise).save(path)
        path = tmp_path / name
        write_rows(path, rows)
        return path

    return write


@pytest.fixture(scope="session")
def save_rows():
    """Write rows as JSONL, a JSON list or Parquet, by the suffix of the path."""
    return write_rows


def write_rows(path, rows):
    if path.suffix == ".parquet":
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows), encoding="utf-8")
    else:
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="session")
def blank_image(tmp_path_factory):
    """Return the path of a black image of a size; for properties over many sizes."""
    folder = tmp_path_factory.mktemp("blank")

    def path_of(size_wh):
        path = folder / "{}x{}.png".format(*size_wh)
        if not path.exists():
            Image.new("L", size_wh).save(path)
        return path

    return path_of


@pytest.fixture(scope="session")
def arrow_pixels():
    """The pixels (x, y) that the official arrow paints for a point, written out (design §4)."""

    def pixels(x, y):
        shaft = [(x - 1, y), (x - 2, y), (x - 3, y), (x - 4, y), (x - 5, y)]
        return {*shaft, (x - 2, y - 1), (x - 2, y + 1), (x - 3, y - 2), (x - 3, y + 2)}

    return pixels


@pytest.fixture(scope="session")
def run_python():
    """Run code in a fresh interpreter and return the finished process, which must succeed."""

    def run(code, **environment):
        result = subprocess.run(
            [sys.executable, "-P", "-W", "error", "-c", code],
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert result.returncode == 0, result.stderr
        return result

    return run
