"""Trains arms and asks their models, two at a time; what is finished stays."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import yaml

from depthlm_plugin.demo.tiny_vlm import build_tiny_qwen
from depthlm_plugin.errors import DepthLMError
from depthlm_plugin.host.cli_process import train
from depthlm_plugin.language.reading import read_answer
from depthlm_plugin.language.templates import load_template
from depthlm_plugin.scoring.files import read_predictions
from depthlm_plugin.scoring.prediction import SIDECAR

from .arms import ASIDE, Arm, arms, content, evaluation, training, with_bases

ANSWERS = "answers.json"
ORDINARY = "ordinary_held"
_HOSTS_OWN = "generated_predictions.jsonl"
_AGAIN = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}

# By dataset/task: truth, answer, number of the picture.
Answers = dict[str, list[list[float | None]]]


@dataclass(frozen=True)
class Study:
    """Where a study is, and how large.

    Attributes:
        out: Its folder.
        steps: Optimiser steps of the base.
        model: Sizes of the model.
        use_cpu: Whether GPUs are left alone.
    """

    out: Path
    steps: int
    model: Mapping[str, int]
    use_cpu: bool = True

    @property
    def data(self) -> Path:
        """The dataset folder."""
        return self.out / "data"

    @property
    def real(self) -> Path:
        """The dataset folder of photographs."""
        return self.out / "real"

    def data_of(self, arm: Arm) -> Path:
        """Return the dataset folder of an arm."""
        return self.real if arm.real else self.data

    def folder(self, arm: str, seed: int) -> Path:
        """Return the folder of a run."""
        return self.out / "runs" / f"{arm}-{seed}"

    def untrained(self, seed: int) -> Path:
        """Return a model of random weights."""
        folder = self.out / "models" / str(seed)
        if not (folder / "config.json").is_file():
            build_tiny_qwen(folder, seed=seed, vocabulary=content()["words"], **self.model)
        return folder


def run_all(study: Study, seeds: int, jobs: int, only: Sequence[str] = ()) -> None:
    """Train and ask every arm with every seed, the first seed of all arms first.

    Raises:
        DepthLMError: When a run fails; the others are finished first.
    """
    chosen = with_bases(only or list(arms()))
    if not (study.real / "dataset_info.json").is_file():
        chosen = [arm for arm in chosen if not arm.real]
        print("no photographs (--ibims, --pairs): their arms are left out", file=sys.stderr)
    for seed in range(seeds):
        study.untrained(seed)
    with ThreadPoolExecutor(jobs) as pool:
        started: dict[tuple[str, int], Future[None]] = {}
        for seed in range(seeds):
            for arm in chosen:
                first = started.get((arm.after or "", seed))
                started[arm.name, seed] = pool.submit(_run, study, arm, seed, first)
        for future in started.values():
            future.exception()
        for future in started.values():
            future.result()


def _run(study: Study, arm: Arm, seed: int, first: Future[None] | None) -> None:
    """Train and ask one arm with one seed, unless it is done."""
    if first is not None:
        first.result()
    folder = study.folder(arm.name, seed)
    before = study.untrained(seed)
    if arm.after is not None:
        before = study.folder(arm.after, seed) / "trained"
    trained = folder / "trained" if arm.steps else before
    recipe = training(arm, before, study.data_of(arm), seed, study.steps)
    recipe |= {"output_dir": str(trained), "use_cpu": study.use_cpu}
    path = folder / "train.yaml"
    if path.is_file() and yaml.safe_load(path.read_text(encoding="utf-8")) != recipe:
        raise DepthLMError(
            f"{path} is not what {arm.name} is now; remove {folder}, or use another OUT"
        )
    if (folder / ANSWERS).is_file():
        return
    folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    if arm.steps and not (trained / "train_results.json").is_file():
        shutil.rmtree(trained, ignore_errors=True)
        train(recipe, path, environment=_AGAIN)
    lora = arm.changes.get("finetuning_type") == "lora"
    model, adapter = (before, trained) if lora else (trained, None)
    answers: Answers = {}
    if not arm.ordinary:
        plain = arm.plain is not None
        for sets in [(name,) for name in arm.evaluate] if plain else [arm.evaluate]:
            answers |= _ask(study, arm, folder, model, adapter, sets, plain=plain)
    if "ordinary" in (arm.name, arm.after):
        answers |= _ask(study, arm, folder, model, adapter, (ORDINARY,), plain=True)
    said = {"minutes": (time.monotonic() - began) / 60, "answers": answers}
    (folder / ANSWERS).write_text(json.dumps(said), encoding="utf-8")
    print(f"{arm.name}-{seed}: {said['minutes']:.1f} minutes", file=sys.stderr, flush=True)


def _ask(
    study: Study,
    arm: Arm,
    folder: Path,
    model: Path,
    adapter: Path | None,
    sets: tuple[str, ...],
    *,
    plain: bool,
) -> Answers:
    """Return the answers to held-out questions; plain ones are of one dataset at a time."""
    name = "_".join(sets)
    out = folder / f"asked_{name}"
    shutil.rmtree(out, ignore_errors=True)
    asked = (ASIDE, *sets) if plain else sets
    recipe = evaluation(arm, model, adapter, study.data_of(arm), asked)
    recipe |= {"output_dir": str(out), "use_cpu": study.use_cpu}
    train(recipe, folder / f"ask_{name}.yaml", environment=_AGAIN)
    if plain:
        return {f"{name}/depth": _plain_answers(study.data / f"{name}.jsonl", out / _HOSTS_OWN)}
    found: Answers = {}
    for row in read_predictions(out / SIDECAR):
        key = f"{row['dataset']}/{row['task']}"
        found.setdefault(key, []).append([row["target"], row.get("value"), float(row["row"])])
    return found


def _plain_answers(asked: Path, answered: Path) -> list[list[float | None]]:
    """Return answers to questions that this study worded; of ordinary ones, 1 where it is right."""
    template = load_template("depth", "plain")
    pictures: dict[str, int] = {}
    rows: list[list[float | None]] = []
    questions = [json.loads(line) for line in asked.read_text(encoding="utf-8").splitlines()]
    answers = [json.loads(line) for line in answered.read_text(encoding="utf-8").splitlines()]
    for question, answer in zip(questions, answers[-len(questions) :], strict=True):
        truth = question["messages"][-1]["content"]
        if answer["label"].strip() != truth:
            raise ValueError(f"{answered}: answers are not in the order of {asked}")
        picture = float(pictures.setdefault(question["images"][0], len(pictures)))
        if ORDINARY in asked.stem:
            rows.append([1.0, 1.0 if answer["predict"].strip() == truth else None, picture])
            continue
        values = read_answer(answer["predict"], template).values
        rows.append([float(truth), None if values is None else values["value"], picture])
    return rows
