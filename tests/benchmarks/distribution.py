"""Is the greedy answer the best that a model's probabilities say? Paired, on labelled pictures.

    python tests/benchmarks/distribution.py MODEL RECORDS.jsonl

Asks a trained model about every labelled point, and scores what its distribution offers beside the
greedy answer, on the points that have both: delta1 and AbsRel, the difference of delta1 to greedy
with a 95 % bootstrap interval over pictures, and how often the 90 % interval holds the truth.
With the demo's: depthlm-demo/trained depthlm-demo/data/heldout.jsonl.
"""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np

RESAMPLES = 2000


def main() -> None:
    """Print the table."""
    model, records = map(Path, sys.argv[1:])
    with redirect_stdout(sys.stderr):  # LLaMA-Factory logs to stdout
        said, truth, picture, inside, width, mass = answers(model, records)
    rng = np.random.default_rng(0)
    pictures = np.unique(picture)
    draws = rng.multinomial(len(pictures), np.full(len(pictures), 1 / len(pictures)), RESAMPLES)
    weights = draws[:, np.searchsorted(pictures, picture)]
    good = {
        name: np.maximum(values / truth, truth / values) < 1.25 for name, values in said.items()
    }
    print(f"{len(truth)} points of {len(pictures)} pictures, {mass.mean():.4f} of the probability")
    print("| answer | delta1 | AbsRel | delta1 - greedy's |")
    print("|---|---|---|---|")
    for name, values in said.items():
        more = good[name].astype(float) - good["greedy"]
        low, high = np.quantile((weights @ more) / weights.sum(axis=1), [0.025, 0.975])
        abs_rel = (np.abs(values - truth) / truth).mean()
        print(
            f"| {name} | {good[name].mean():.4f} | {abs_rel:.4f} |"
            f" {more.mean():+.4f} ({low:+.4f} .. {high:+.4f}) |"
        )
    print(f"90 % intervals hold {inside.mean():.3f} of the truths; {np.median(width):.2f} m wide")


def answers(model: Path, records: Path) -> tuple[dict[str, np.ndarray], *tuple[np.ndarray, ...]]:
    """Return what is said by name, the truths, pictures, whether intervals hold, widths, masses."""
    from depthlm_plugin import Camera, Predictor
    from depthlm_plugin.errors import RecordError

    predictor = Predictor.load(model)
    rows, left_out = [], 0
    for number, line in enumerate(records.read_text().splitlines()):
        record = json.loads(line)
        camera = Camera.from_intrinsics(record["intrinsics"])
        for pixel, depth in zip(record["pixel_coords"], record["depth"], strict=True):
            try:
                [answer] = predictor.ask(
                    records.parent / record["image"], camera, [tuple(pixel)], distribution=True
                )
            except RecordError:  # its mark does not fit
                left_out += 1
                continue
            found = answer.distribution
            if answer.value is None or found is None:
                left_out += 1
                continue
            low, high = found.interval_90
            numbers = (answer.value, found.median, found.mean, found.delta1_optimal)
            rows.append((*numbers, depth, number, low <= depth <= high, high - low, found.mass))
    print(f"{left_out} points left out", file=sys.stderr)
    if not rows:
        sys.exit("no answer that could be read")
    columns = np.array(rows, dtype=float).T
    names = ("greedy", "median", "mean", "delta1-optimal")
    said = dict(zip(names, columns, strict=False))
    return said, *columns[len(names) :]


if __name__ == "__main__":
    main()
