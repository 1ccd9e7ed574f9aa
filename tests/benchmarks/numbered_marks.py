"""May numbered marks share a picture when a model is asked? Paired, on held-out scenes.

    python tests/benchmarks/numbered_marks.py FOLDER [STEPS]

Trains the demo's tiny model with `reference: numbered` and four marks a picture in FOLDER, unless
that is done, and asks it about the same held-out points in several ways: with one mark in each
picture; with four, each asked about in a first turn; with four, in successive turns as training
shows them, after the model's own answers or the true ones. Prints delta1 and AbsRel, and delta1 by
the number of the mark, with 95 % bootstrap intervals over pictures of the difference to one mark.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path

import numpy as np

from depthlm_plugin.demo import demonstration, tiny_vlm
from depthlm_plugin.sampling.planner import Planner
from depthlm_plugin.sampling.sample import Sample

MARKS, POINTS, SIDE_PX, FOCAL_PX = 4, 12, 112, 107.0
STEPS, RESAMPLES = 1800, 2000
WORDS = ("user\nHow far is the point marked ", " from the camera, in metres?")


def main() -> None:
    """Print the table."""
    folder, *steps = sys.argv[1:]
    out = Path(folder).resolve()
    if not (out / "trained" / "depthlm_config.json").is_file():
        train(out, int(steps[0]) if steps else STEPS)
    with redirect_stdout(sys.stderr):  # LLaMA-Factory logs to stdout
        said, truth, picture, number = answers(out)
    rng = np.random.default_rng(0)
    pictures, at = np.unique(picture, return_inverse=True)
    draws = rng.multinomial(len(pictures), np.full(len(pictures), 1 / len(pictures)), RESAMPLES)
    weights = draws[:, at]
    with np.errstate(invalid="ignore"):
        good = {name: np.maximum(v / truth, truth / v) < 1.25 for name, v in said.items()}
    one = good["one mark"]
    print(f"{len(truth)} points of {len(pictures)} pictures")
    print("| asked | delta1 | AbsRel | unread | delta1 - one mark's | delta1 of mark 1, 2, .. |")
    print("|---|---|---|---|---|---|")
    for name, values in said.items():
        more = good[name].astype(float) - one
        low, high = np.quantile((weights @ more) / weights.sum(axis=1), [0.025, 0.975])
        abs_rel = np.nanmean(np.abs(values - truth) / truth)
        each = ", ".join(f"{good[name][number == n].mean():.3f}" for n in range(1, MARKS + 1))
        print(
            f"| {name} | {good[name].mean():.4f} | {abs_rel:.4f} | {np.isnan(values).mean():.3f} |"
            f" {more.mean():+.4f} ({low:+.4f} .. {high:+.4f}) | {each} |"
        )


def train(out: Path, steps: int) -> None:
    """Train the demo's model on its scenes, seen a third larger so that digits can be read."""
    demonstration.POINTS = POINTS
    demonstration._write_data(out / "data", 0)
    tiny_vlm.VOCABULARY_TEXT += WORDS
    model = tiny_vlm.build_tiny_qwen(out / "model", seed=0)
    recipe = demonstration._training(model, out / "data", "numbered", 0)
    recipe["depthlm"] |= {
        "focal_px": FOCAL_PX,
        "crop_height": [SIDE_PX, SIDE_PX],
        "crop_width": [SIDE_PX, SIDE_PX],
        "questions_per_image": MARKS,
        "points_per_record": 1,
        "marker_px": 5,
    }
    recipe |= {"max_steps": steps, "cutoff_len": 256}
    demonstration._llamafactory(out, "trained", recipe, steps)


def answers(out: Path) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, np.ndarray]:
    """Return what is said in each way, the truths, pictures and numbers of the marks."""
    from depthlm_plugin import Predictor

    predictor = Predictor.load(out / "trained")
    plain = predictor.planner(["depth"])
    config = replace(
        plain.config, points_per_record="all", crop_height=None, crop_width=None, on_error="skip"
    )
    roots = (str(out / "data"),)
    planners = [
        Planner(config, "heldout", roots, training, plain.multiple) for training in (False, True)
    ]
    lines = (out / "data" / "heldout.jsonl").read_text().splitlines()
    alone: dict[tuple[int, int], Sample] = {}
    packed: list[Sample] = []
    for row, line in enumerate(lines):
        single, together = (planner.plan(line, "heldout", row).samples for planner in planners)
        alone |= {(row, sample.question.points[0]): sample for sample in single}
        packed += together
    keys = [(q.row, q.points[0]) for sample in packed for q in sample.questions]
    places = [(at, turn) for at, sample in enumerate(packed) for turn in range(len(sample.turns))]
    firsts = [
        replace(
            packed[at], questions=(packed[at].questions[turn],), turns=(packed[at].turns[turn],)
        )
        for at, turn in places
    ]
    said = {
        "one mark": predictor._engine.answer([alone[key] for key in keys]),
        f"{MARKS} marks, first turns": predictor._engine.answer(firsts),
        f"{MARKS} marks, turns after own answers": in_turns(predictor, packed, own=True),
        f"{MARKS} marks, turns after true answers": in_turns(predictor, packed, own=False),
    }
    values = {name: np.array([metres(text) for text in texts]) for name, texts in said.items()}
    truth = np.array([alone[key].target for key in keys])
    picture, number = np.array([row for row, _ in keys]), np.array([n + 1 for _, n in places])
    return values, truth, picture, number


def in_turns(predictor, samples: Sequence[Sample], *, own: bool) -> list[str]:
    """Return the answers to all questions of samples, asked as training shows them."""
    engine = predictor._engine
    said: list[list[str]] = [[] for _ in samples]
    asked_ids = engine._prompts.ids
    for turn in range(MARKS):
        some = [at for at, sample in enumerate(samples) if len(sample.turns) > turn]
        before = {}
        for at in some:
            sample = samples[at]
            told = said[at] if own else [answer for _, answer in sample.turns]
            turns = [(user, told[n]) for n, (user, _) in enumerate(sample.turns[:turn])]
            before[id(sample)] = replace(sample, turns=(*turns, sample.turns[turn]))
        engine._prompts.ids = lambda sample, now=before: ids_of(engine, now[id(sample)])
        texts = engine.answer([samples[at] for at in some])
        for at, text in zip(some, texts, strict=True):
            said[at].append(text)
    engine._prompts.ids = asked_ids
    return [text for texts in said for text in texts]


def ids_of(engine, sample: Sample) -> list[int]:
    """Return the prompt of a sample's last question, with the turns before it."""
    from depthlm_plugin.host.open_views import views_as

    prompts = engine._prompts
    turns = [turn for turn in sample.messages if turn["role"] != "system"]
    with views_as("shapes"):
        turns = prompts._template.mm_plugin.process_messages(
            turns, sample.to_uris(), [], [], prompts._sized
        )
    prompt, _ = prompts._template.encode_oneturn(prompts._short, turns, sample.system)
    return list(prompt)


def metres(text: str) -> float:
    """Return the number that a plain answer is, or NaN."""
    try:
        return float(text)
    except ValueError:
        return float("nan")


if __name__ == "__main__":
    main()
