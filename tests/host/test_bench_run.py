"""`depthlm bench` with a real model: stopped, and gone on with by two processes."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.host_tools import SMALL, environment, overrides, rows

from depthlm_plugin.scoring.published import SETS

SETTINGS = overrides(
    bf16=False,
    use_cpu=True,
    per_device_eval_batch_size=8,
    max_new_tokens=8,
    preprocessing_num_workers=1,
    dataloader_num_workers=0,
    depthlm={"focal_px": SMALL["focal_px"]},
)


@pytest.fixture
def bench_data(data: Path, tmp_path: Path) -> Path:
    """The photographs as two sets: `ibims1`, and the same again as `nyuv2_test`."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "rgb").symlink_to(data / "rgb")
    lines = (data / "ibims1.jsonl").read_text().splitlines()
    info = json.loads((data / "dataset_info.json").read_text())
    for name, own in (("ibims1", lines[:12]), ("nyuv2_test", lines[12:20])):
        (folder / f"{name}.jsonl").write_text("\n".join(own) + "\n")
        info[name] = info["ibims1"] | {"file_name": f"{name}.jsonl"}
    (folder / "dataset_info.json").write_text(json.dumps(info))
    return folder


def command(data: Path, model: Path, out: Path, *more: str) -> list[str]:
    # The chunks of the paper's 8192 points are made small, so that there are several.
    code = (
        "import sys; from depthlm_plugin.bench import questions; questions.CHUNK_POINTS = 12;"
        " from depthlm_plugin.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    arguments = ["--data", data, "--model", model, "--out", out, "--template", "qwen2_vl"]
    return [sys.executable, "-c", code, "bench", *map(str, arguments), *more, *SETTINGS]


def test_a_stopped_bench_goes_on_where_it_was(models, bench_data: Path, tmp_path: Path) -> None:
    out = tmp_path / "bench"
    call = command(bench_data, models["qwen"], out, "--points", "40")
    with subprocess.Popen(call, env=environment(), stderr=subprocess.PIPE, text=True) as process:
        began = time.monotonic()
        while not list((out / "answers").glob("*.jsonl")):
            assert process.poll() is None, process.stderr and process.stderr.read()
            assert time.monotonic() - began < 400
            time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        process.wait()
    assert process.returncode == 143
    assert not running_in(out)  # nobody goes on writing there
    first = {path.name: path.stat().st_mtime_ns for path in (out / "answers").glob("*.jsonl")}
    chunks = {path.name for path in (out / "questions").glob("*.[0-9]*.jsonl")}
    assert first.keys() < chunks

    two = {"FORCE_TORCHRUN": "1", "NPROC_PER_NODE": "2", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*call, "ddp_backend=gloo"], env=environment(**two), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for name, stamp in first.items():
        assert (out / "answers" / name).stat().st_mtime_ns == stamp
    asked_again = (out / "run.yaml").read_text()
    assert not [name for name in first if name.removesuffix(".jsonl") in asked_again]

    results = json.loads((out / "results.json").read_text())
    assert results["missing"] == [name for name in SETS if name not in ("ibims1", "nyuv2")]
    assert not results["complete"]
    assert results["protocol"] == {"points": 40, "seed": 0}
    answers = rows(out / "depth_predictions.jsonl")
    for name, own in results["sets"].items():
        assert own["drawn"] == 40
        assert own["answered"] + own["not_asked"] == 40
        mine = [row for row in answers if row["dataset"] == name]
        assert len({(row["row"], row["point"]) for row in mine}) == own["answered"] > 30
        source = rows(Path(own["records"]))
        for row in mine:
            record = source[row["row"]]
            assert row["pixel"] == record["pixel_coords"][row["point"]]
            assert row["target"] / row["distance_over_z"] == pytest.approx(
                record["depth"][row["point"]]
            )
    assert "mean of 2 of 8" in done.stdout
    assert re.search(r"DepthLM-7B +0.920 +0.915 +0.838", done.stdout)
    assert "missing, in no mean: Argoverse 2, DDAD" in done.stderr

    again = subprocess.run(call, env=environment(), capture_output=True, text=True)
    assert (again.returncode, again.stdout) == (0, done.stdout)  # without starting anything
    scored = subprocess.run(
        [sys.executable, "-m", "depthlm_plugin.cli", "score", out / "depth_predictions.jsonl"],
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert scored.returncode == 0, scored.stdout
    total = sum(own["answered"] for own in results["sets"].values())
    assert f"{total} of {total} rows scored" in scored.stdout


def running_in(folder: Path) -> list[str]:
    """Command lines of processes that name a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in text and path.parent.name != str(os.getpid()):
            found.append(text)
    return found
