"""The commands that `support.kills` kills: what they read, what they write, what is whole."""

import json
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from depthlm_plugin.cli import main
from depthlm_plugin.curate.pipeline.curation import Settings
from depthlm_plugin.curate.pipeline.curation import curate as run_curation
from depthlm_plugin.errors import DepthLMError
from depthlm_plugin.records.rows import open_rows
from depthlm_plugin.records.shard_writer import write_shards
from support import killed
from support.raw.small import write_folder
from support.scene import POSES, Pinhole

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
        return ".depthlm.partial" in name

    def wrong(self, folder):
        """Return what a reader finds wrong in the folder after a kill, or None."""

    def may_refuse(self, status, said):
        """Return whether a run after kills may end so: it is finished already, and says so."""
        return False


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
    """Two frames a chunk, pictures written as JPEG: more touches than the command's 64."""

    def prepare(self, place):
        write_folder(place / "room", Pinhole(62.0, 61.0, 30.5, 24.0, 64, 48), POSES[:3])

    def run(self):
        job, output = killed.job_of(Path("../room"), Path("out"), jpeg_focal_px=60.0)
        run_curation(job, output, None, Settings(chunk_frames=2))
        return 0

    def is_temporary(self, name):
        # The description is written again when the counts are known.
        return super().is_temporary(name) or "/parts" in name or name == "out/room/curation.json"


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
)
PROGRAMS = ()
