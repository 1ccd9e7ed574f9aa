"""How long does `depthlm curate` take for a picture, reader by reader?

    python tests/benchmarks/curate_speed.py [READER ...] [--against CHECKOUT] [--raw FOLDER]

Writes raw data of the real datasets' sizes (pictures, depth maps, points of a sweep; synthetic,
JPEG of about a bit a pixel), labels it with one worker and prints the CPU time a picture, and how
it divides: what the reader does, drawing the points, marking edges, looking at the picture. With
`--against` another checkout does the same in turns; where its records differ, that is said.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()
ROUNDS = 3
LEAST_S = 0.6  # of CPU time that a round takes


def raws() -> dict[str, tuple[Callable[..., Any], dict[str, str]]]:
    """Return by reader what writes its raw data, and the reader's options."""
    from support.raw import driving, handheld, indoor, small, sun_kitti, waymo
    from support.scene import POSES, Pinhole

    phone = Pinhole(1170.2, 1170.2, 647.7, 483.8, 1296, 972)
    omnidata = partial(indoor.write_omnidata, times=4)
    return {
        "argoverse2": (
            partial(driving.write_argoverse2, times=4, pictures_ms=(5, 45, 60, 95)),
            {},
        ),
        "nuscenes": (partial(driving.write_nuscenes, times=4, samples=1), {}),
        "ddad": (partial(driving.write_ddad, times=4, samples=4), {}),
        "waymo": (partial(waymo.write_waymo, times=4, segments=tuple(waymo.SEGMENTS)[:1]), {}),
        "kitti": (partial(sun_kitti.write_kitti, times=4), {"split": "train"}),
        "hypersim": (partial(indoor.write_hypersim, times=4), {"split": "all"}),
        "matterport3d": (partial(indoor.write_matterport3d, times=4), {}),
        "hm3d": (partial(omnidata, component="hm3d", splits=indoor.HM3D), {"split": "all"}),
        "taskonomy": (
            partial(omnidata, component="taskonomy", splits=indoor.TASKONOMY),
            {"split": "all"},
        ),
        "scannetpp": (handheld.write_scannetpp, {}),
        "tum": (handheld.write_tum, {}),
        "diode": (small.write_diode, {}),
        "ibims1": (small.write_ibims1, {}),
        "nyuv2": (small.write_nyuv2, {}),
        "sunrgbd": (sun_kitti.write_sunrgbd, {}),
        "folder": (
            partial(small.write_folder, pinhole=phone, poses=POSES, depth_wh=(640, 480)),
            {"depth_scale": "1000", "depth_kind": "z"},
        ),
    }


def job(reader: str, root: Path, out: Path) -> Any:
    """Return what a worker of `depthlm curate` does."""
    from depthlm_plugin.curate.pipeline.labelling import Job
    from depthlm_plugin.curate.pipeline.output import Output
    from depthlm_plugin.curate.registry import make_reader

    options = dict(raws()[reader][1])
    made = make_reader(
        reader,
        root,
        split=options.pop("split", None),
        compat=False,
        unusual=frozenset(),
        options=options,
    )
    return Job(made, reader, reader, Output(out, reader).folder, 100, 0, "uniform")


def measure(reader: str, root: Path) -> dict[str, Any]:
    """Return the CPU time a picture, what takes it, in ms, and a digest of the records."""
    from depthlm_plugin.curate.pipeline import labelling
    from depthlm_plugin.curate.pipeline.output import PARTS

    spent: dict[str, float] = {}

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            start = time.process_time()
            try:
                return function(*args, **options)
            finally:
                spent[name] = spent.get(name, 0) + time.process_time() - start

        return call

    with tempfile.TemporaryDirectory() as out:
        work = job(reader, root, Path(out))
        (work.folder / PARTS).mkdir(parents=True)
        items = list(work.reader.items())
        said, records = work.label(items)
        assert len(records) == len(items), said
        lines = "".join(json.dumps(record, ensure_ascii=False) for record in records)
        for place, name, what in (
            (type(work.reader), "load", "reading"),
            (labelling, "sample", "drawing"),
            (labelling, "beside_edges", "edges"),
            (labelling.Job, "_kept", "picture"),
        ):
            setattr(place, name, timed(what, getattr(place, name)))
        pictures, start = 0, time.process_time()
        while time.process_time() - start < LEAST_S:
            for record in work.label(items)[1]:
                json.dumps(record, ensure_ascii=False)
            pictures += len(items)
        spent["all"] = time.process_time() - start
    return {
        "digest": hashlib.sha256(lines.encode()).hexdigest(),
        "ms": {name: 1000 * seconds / pictures for name, seconds in spent.items()},
    }


def in_turns(reader: str, root: Path, checkouts: dict[str, Path]) -> dict[str, dict[str, float]]:
    """Return the median milliseconds a picture of every part, by checkout."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in checkouts}
    digests = set()
    for _ in range(ROUNDS):
        for name, checkout in checkouts.items():
            paths = [str(checkout), str(HERE.parents[1])]
            environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
            for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
                environment[variable] = "1"
            command = [sys.executable, str(HERE), reader, "--raw", str(root), "--measure"]
            done = subprocess.run(
                command, env=environment, check=True, stdout=subprocess.PIPE, text=True
            )
            result = json.loads(done.stdout)
            found[name].append(result["ms"])
            digests.add(result["digest"])
    if len(digests) > 1:
        print(f"{reader}: the records differ", file=sys.stderr)
    return {
        name: {part: statistics.median(one.get(part, 0) for one in rounds) for part in rounds[0]}
        for name, rounds in found.items()
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("readers", nargs="*", metavar="READER", help="all by default")
    parser.add_argument("--against", type=Path, metavar="CHECKOUT")
    parser.add_argument("--raw", type=Path, help="where raw data is kept for the next time")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.readers[0], options.raw)))
        return
    checkouts = {"before": options.against} if options.against else {}
    checkouts["now"] = HERE.parents[2]
    parts = ("reading", "drawing", "edges", "picture")
    print("| reader | checkout | ms a picture |", *(f"{part} |" for part in parts), end=" ")
    print("pictures an hour and core | times as quick |")
    print("|---|---|---|" + "---|" * len(parts) + "---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for reader in options.readers or raws():
            root = (options.raw or Path(folder)) / reader
            if not root.exists():
                raws()[reader][0](root)
            rows = in_turns(reader, root, checkouts)
            for name, row in rows.items():
                shares = " | ".join(f"{row.get(part, 0):.1f}" for part in parts)
                ratio = rows["before"]["all"] / row["all"] if options.against else 1
                print(
                    f"| `{reader}` | {name} | {row['all']:.1f} | {shares} |"
                    f" {3_600_000 / row['all']:,.0f} | {ratio:.2f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
