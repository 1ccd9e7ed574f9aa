"""The commands that `support.kills` kills: what they read, what they write, what is whole."""

import json
import os
import random
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from depthlm_plugin.bench.benchmark import Bench
from depthlm_plugin.bench.progress import Progress
from depthlm_plugin.bench.sets import find_sets
from depthlm_plugin.cli import main
from depthlm_plugin.curate.pipeline.curation import Settings
from depthlm_plugin.curate.pipeline.curation import curate as run_curation
from depthlm_plugin.errors import DepthLMError
from depthlm_plugin.records.rows import open_rows
from depthlm_plugin.records.shard_writer import write_shards
from depthlm_plugin.scoring.prediction import write_jsonl_atomically
from support import killed
from support.host_tools import ROOT, SMALL, environment, losses, overrides
from support.raw.small import write_folder
from support.scene import POSES, Pinhole

CPU = {"bf16": False, "use_cpu": True, "preprocessing_num_workers": 1, "dataloader_num_workers": 0}
OLD = [{"scene": "old", "row": row} for row in range(4)]


@dataclass(frozen=True)
class Command:
    """A command, given in a folder beside what `prepare` writes."""

    name: str
    arguments: tuple = ()

    def prepare(self, place):
        write_records(place)

    def before(self, folder):
        """Write what is in the folder before the command."""

    def run(self):
        return main(list(self.arguments))

    def is_temporary(self, name):
        return PART in name

    def wrong(self, folder):
        """Return what a reader finds wrong in the folder after a kill, or None."""

    def may_refuse(self, status, said):
        """Return whether a run after kills may end so: it is finished already, and says so."""
        return False

    def outcome(self, folder):
        """Return all that must be the same after kills."""
        return contents(folder)


class Shard(Command):
    def wrong(self, folder):
        try:
            rows = [raw for _, raw in open_rows(str(folder / "s"))]
        except DepthLMError as error:
            said = str(error)
            if "does not exist" in said and not self.is_replaced:
                return None
            return None if self.is_replaced and "was being replaced" in said else said
        new = [json.loads(line) for line in (folder.parent / "records.jsonl").open()]
        return None if rows in ([new] if not self.is_replaced else [OLD, new]) else "mixed rows"

    def may_refuse(self, status, said):
        return status == 1 and not self.is_replaced and "is a finished folder of shards" in said

    @property
    def is_replaced(self):
        return "--overwrite" in self.arguments


class ShardAgain(Shard):
    def before(self, folder):
        write_shards(OLD, str(folder / "s"), rows_per_shard=2)


class Split(Command):
    def may_refuse(self, status, said):
        return status == 1 and "exists; remove it" in said


class Harness(Command):
    def may_refuse(self, status, said):
        return status == 1 and "is there and not empty" in said


class Report(Command):
    def prepare(self, place):
        (place / "run").mkdir()
        write_predictions(place / "run")

    def before(self, folder):
        (folder / "r.html").write_text("old")


class Curate(Command):
    """Two frames a chunk, pictures written as JPEG: more touches than the command's 64.

    The third frame is the first again, and is left out with its picture.
    """

    def prepare(self, place):
        poses = [POSES[0], POSES[1], POSES[0]]
        write_folder(place / "room", Pinhole(62.0, 61.0, 30.5, 24.0, 64, 48), poses)

    def run(self):
        options = {"jpeg_focal_px": 60.0, "drop_repeats": True}
        job, output = killed.job_of(Path("../room"), Path("out"), **options)
        run_curation(job, output, None, Settings(chunk_frames=2))
        return 0

    def is_temporary(self, name):
        # The description is written again when the counts are known; the picture of a frame that is
        # left out is removed when all chunks are finished.
        again = "out/room/curation.json", "out/room/images/0002.jpg"
        return super().is_temporary(name) or "/parts" in name or name in again


class BenchFiles(Command):
    """What `depthlm bench` writes itself, with answers that are there at once."""

    def prepare(self, place):
        write_bench_data(place)

    def run(self):
        out = Path("b")
        bench = Bench(Path("../data"), "m", None, out, 12, 0, (), "qwen2_vl", {})
        plan = bench._plan(*find_sets(bench.data))
        progress = Progress(out)
        progress.recover()
        progress.harvest()
        (out / "run").mkdir(exist_ok=True)
        rows = []
        for name in progress.open_chunks():
            for row, line in enumerate((out / "questions" / f"{name}.jsonl").open()):
                record = json.loads(line)
                for point, depth in enumerate(record["depth"]):
                    rows.append({
                        "dataset": name, "row": row, "point": point, "target": depth, "text": "2.5",
                        "value": 2.5, "reason": None,
                        "task": "depth", "prompt": "plain", "pixel": record["pixel_coords"][point],
                        "depth_kind": "z", "distance_over_z": 1.0, "image": record["image"],
                    })  # fmt: skip
            mine = [one for one in rows if one["dataset"] == name]
            for one in mine:
                one["of"] = len(mine)
            write_jsonl_atomically(out / "run" / "depth_predictions.jsonl", rows)
            progress.harvest()
        bench._results(plan, progress)
        return 0

    def outcome(self, folder):
        # What LLaMA-Factory has answered is what was still waiting.
        return {name: found for name, found in contents(folder).items() if name != ANSWERED}

    def is_temporary(self, name):
        return super().is_temporary(name) or name == ANSWERED


class Program(Command):
    """A command that starts LLaMA-Factory; killed at random times, with all that it starts."""

    def prepare(self, place):
        write_bench_data(place)
        code = (
            "import sys; from pathlib import Path; from depthlm_plugin.demo.tiny_vlm import"
            " build_tiny_qwen as build; build(Path(sys.argv[1]), seed=0, hidden_size=64, layers=2)"
        )
        subprocess.run([sys.executable, "-c", code, place / "qwen"], check=True)

    def is_temporary(self, name):
        return True

    def run(self):
        return subprocess.run(self.command(), env=environment(), check=False).returncode


class RealBench(Program):
    def command(self):
        code = (
            "import sys; from depthlm_plugin.bench import questions; questions.CHUNK_POINTS = 4;"
            " from depthlm_plugin.cli import main; sys.exit(main(sys.argv[1:]))"
        )
        more = {"per_device_eval_batch_size": 4, "max_new_tokens": 4}
        settings = overrides(**CPU, **more, depthlm={"focal_px": SMALL["focal_px"]})
        arguments = ["--data", "../data", "--model", "../qwen", "--out", "b", "--points", "12"]
        return [
            sys.executable,
            "-c",
            code,
            "bench",
            *arguments,
            "--template",
            "qwen2_vl",
            *settings,
        ]

    def outcome(self, folder):
        found = contents(folder)
        return {name: found[name] for name in found if not name.startswith("b/run") or PART in name}


class Train(Program):
    def command(self):
        settings = overrides(
            **CPU,
            model_name_or_path="../qwen",
            dataset="ibims1",
            dataset_dir="../data",
            output_dir="out",
            max_steps=8,
            save_steps=2,
            logging_steps=1,
            per_device_train_batch_size=2,
            gradient_accumulation_steps=1,
            learning_rate=5e-3,
            plot_loss=False,
            report_to="none",
            depthlm=SMALL,
        )
        return [
            "llamafactory-cli",
            "train",
            str(ROOT / "recipes/depthlm_qwen_lora.yaml"),
            *settings,
        ]

    def outcome(self, folder):
        weights = (folder / "out" / "adapter_model.safetensors").read_bytes()
        return {"losses": losses(folder / "out"), "weights": weights} | {
            name: None for name in contents(folder) if PART in name
        }


def contents(folder):
    """Return every file below a folder, folders as None, and what links say."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = os.readlink(path)
        else:
            found[name] = path.read_bytes() if path.is_file() else None
    return found


def write_bench_data(place):
    data = place / "data"
    data.mkdir()
    write_records(data)
    lines = (data / "records.jsonl").read_text().splitlines()
    info = {}
    for name, own in {"ibims1": lines[:4], "nyuv2_test": lines[4:]}.items():
        (data / f"{name}.jsonl").write_text("\n".join(own) + "\n")
        info[name] = {"file_name": f"{name}.jsonl", "formatting": "depthlm"}
    (data / "dataset_info.json").write_text(json.dumps(info))


def write_records(place):
    rows = []
    for number in range(6):
        noise = np.random.default_rng(number).integers(0, 256, (150, 200, 3), dtype=np.uint8)
        Image.fromarray(noise).save(place / f"{number}.png")
        rows.append(
            {
                "image": f"{number}.png",
                "intrinsics": [150.0, 148.0, 99.0, 76.0, 200, 150],
                "pixel_coords": [[100, 75], [50, 60], [150, 90]],
                "depth": [1.5, 2.5, 3.5 + number],
                "depth_kind": "z",
                "scene": f"room {number // 2}",
            }
        )
    (place / "records.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_predictions(folder):
    draw = random.Random(0)
    with (folder / "depth_predictions.jsonl").open("w") as file:
        for number in range(40):
            target = draw.uniform(0.5, 30)
            row = {
                "dataset": "room", "row": number, "point": 0, "image": "0.png",
                "pixel": [40.0, 30.0], "task": "depth", "prompt": "plain", "target": target,
                "text": f"{target * draw.lognormvariate(0, 0.2):.2f}", "depth_kind": "distance",
                "distance_over_z": 1.1, "of": 40,
            }  # fmt: skip
            file.write(json.dumps(row) + "\n")
    Image.new("RGB", (120, 90), "gray").save(folder / "0.png")


PART = ".depthlm.partial"
ANSWERED = "b/run/depth_predictions.jsonl"
RECORDS = "../records.jsonl"
SHARD = ("shard", RECORDS, "--out", "s", "--rows-per-shard", "3")
REPORT = ("report", "../run", "--out", "r.html", "--out", "r.md", "--samples", "2")
CASES = (
    Shard("shard", SHARD),
    ShardAgain("shard --overwrite", (*SHARD, "--overwrite")),
    Split("split", ("split", RECORDS, "--out", "parts", "--eval", "0.3")),
    Report("report", REPORT),
    Harness("harness", ("harness", RECORDS, "--out", "tasks", "--points", "2", "--focal", "200")),
    Curate("curate"),
    BenchFiles("bench files"),
)
PROGRAMS = (RealBench("bench"), Train("train"))
