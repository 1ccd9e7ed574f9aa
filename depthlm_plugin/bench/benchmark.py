"""DepthLMBench draws the points, asks the model and scores; stopped, it goes on where it was.

A bench is a folder: the plan, the drawn questions in chunks, the answers of finished chunks, and at
last results.json.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from tqdm import tqdm

from .. import __version__
from ..config.block import DepthLMConfig
from ..config.saved import load_config, saved_template
from ..errors import ConfigError, DepthLMError
from ..host.cli_process import train
from ..records.atomic import recover, whole_file, whole_folder
from ..scoring.prediction import SIDECAR, PredictionRow, write_jsonl_atomically
from ..scoring.published import SETS
from ..scoring.scores import Scores, finite
from .progress import HOST_OUTPUT, QUESTIONS, Progress, set_of
from .questions import chunks_of, count_points, draw, drawn_records
from .results import FORMAT, Plan, Results, SetResults, write_results
from .sets import BenchSet, find_sets
from .settings import evaluation_settings

_PLAN = "bench.json"


@dataclass(frozen=True)
class Bench:
    """What is asked of which model, and the folder where it is.

    Attributes:
        data: Folder with dataset_info.json; image paths start from it.
        model: Base or merged model.
        adapter: Its adapter, or None.
        out: Folder to write.
        points: Random points a set, or None for all.
        seed: Of the draw.
        sets: See `sets.find_sets`.
        template: LLaMA-Factory's chat template; None: the one saved with the weights.
        overrides: Further arguments of LLaMA-Factory.
    """

    data: Path
    model: str
    adapter: str | None
    out: Path
    points: int | None
    seed: int
    sets: tuple[str, ...]
    template: str | None
    overrides: Mapping[str, Any]

    def ask_and_score(self) -> tuple[Results, Scores]:
        """Ask what is not answered yet and score all; return what results.json holds, and scores.

        Raises:
            DepthLMError: For a folder of another bench, or when LLaMA-Factory fails; what is
                answered is kept.
        """
        found, missing = find_sets(self.data, self.sets)
        progress = Progress(self.out)
        plan = self._plan(found, missing)
        progress.recover()
        progress.harvest()
        waiting = progress.open_chunks()
        if waiting:
            self._ask(plan, progress, waiting)
        left = progress.open_chunks()
        if left:
            raise DepthLMError(
                f"{', '.join(left)} were not answered, though LLaMA-Factory ended well; see"
                f" {self.out / HOST_OUTPUT}.log"
            )
        return self._results(plan, progress)

    def _plan(self, found: Sequence[BenchSet], missing: list[str]) -> Plan:
        """Return the plan of the folder, made now if there is none; a finished one is obeyed."""
        path, questions = self.out / _PLAN, self.out / QUESTIONS
        description = self._description()
        cut_off = recover(path) | recover(questions)
        if path.is_file():
            plan = cast(Plan, json.loads(path.read_text(encoding="utf-8")))
            differing = _differing(plan, description)
            if differing:
                raise ConfigError(
                    f"{self.out} holds another bench ({'; '.join(differing)}); choose another --out"
                )
            return plan
        if self.out.exists() and any(self.out.iterdir()):
            if not _is_draw(questions):
                raise ConfigError(f"{self.out} is not empty and not a bench; choose another --out")
            cut_off = True
        if cut_off:
            print(f"drawing again: an earlier draw in {questions} was cut off", file=sys.stderr)
        self.out.mkdir(parents=True, exist_ok=True)
        with whole_folder(questions, replace=True) as folder:
            sets = {bench_set.name: self._draw(bench_set, folder) for bench_set in found}
        plan = description | Plan(sets=sets, missing=missing)
        with whole_file(path) as file:
            file.write(json.dumps(plan, indent=2) + "\n")
        return plan

    def _description(self) -> Plan:
        """Return the part of a plan that must not change between one start and the next."""
        block = {
            key.removeprefix("depthlm."): value
            for key, value in self.overrides.items()
            if key.startswith("depthlm.")
        }
        config = DepthLMConfig.from_block(block, load_config(self.adapter or self.model))
        description = Plan(
            format=FORMAT,
            version=__version__,
            model=self.model,
            adapter=self.adapter,
            block=config.to_dict(),
            protocol={"points": self.points or "all", "seed": self.seed},
            data=str(self.data.resolve()),
            asked_for=list(self.sets) or list(SETS),
        )
        return cast(Plan, json.loads(json.dumps(description)))  # as a plan that was read has it

    def _draw(self, bench_set: BenchSet, folder: Path) -> SetResults:
        """Write the questions of a set into a folder; return what is said of it."""
        counts = count_points(bench_set)
        drawn = draw(counts, self.points, bench_set.name, self.seed)
        chunks = chunks_of(drawn_records(bench_set, counts, drawn, self.data))
        for number, records in enumerate(chunks):
            write_jsonl_atomically(folder / f"{bench_set.name}.{number:04d}.jsonl", records)
        return {
            "dataset": bench_set.dataset,
            "records": str(bench_set.records),
            "options": dict(bench_set.options),
            "points": int(counts.sum()),
            "drawn": len(drawn),
        }

    def _ask(self, plan: Plan, progress: Progress, waiting: Sequence[str]) -> None:
        """Have LLaMA-Factory answer the waiting chunks, each as a dataset of its own."""
        chunks = progress.chunks()
        info = {
            name: {
                "file_name": f"{name}.jsonl",
                "formatting": "depthlm",
                "depthlm": plan["sets"][set_of(name)]["options"],
            }
            for name in chunks
        }
        text = json.dumps(info, indent=2) + "\n"
        (self.out / QUESTIONS / "dataset_info.json").write_text(text, encoding="utf-8")
        done = len(chunks) - len(waiting)
        with tqdm(total=len(chunks), initial=done, unit="chunk", disable=None) as bar:

            def poll() -> None:
                progress.harvest()
                bar.update(len(chunks) - len(progress.open_chunks()) - bar.n)

            try:
                train(self._recipe(waiting), self.out / f"{HOST_OUTPUT}.yaml", poll=poll)
            finally:
                progress.harvest()

    def _recipe(self, waiting: Sequence[str]) -> dict[str, Any]:
        """Return what LLaMA-Factory is told: its family's recipe, this bench's, the overrides."""
        template = self.template or saved_template(self.adapter or self.model)
        if template is None:
            raise ConfigError(
                f"{self.adapter or self.model} does not say its chat template; give --template"
            )
        recipe = evaluation_settings(self.model, template) | {
            "model_name_or_path": self.model,
            "adapter_name_or_path": self.adapter,
            "finetuning_type": "lora" if self.adapter else "full",
            "template": template,
            "eval_dataset": ",".join(waiting),
            "eval_on_each_dataset": True,
            "dataset_dir": str(self.out / QUESTIONS),
            "media_dir": str(self.data),
            "output_dir": str(self.out / HOST_OUTPUT),
            "overwrite_cache": True,
        }
        for key, value in self.overrides.items():
            owner, _, name = key.rpartition(".")
            (recipe.setdefault(owner, {}) if owner else recipe)[name] = value
        return recipe

    def _results(self, plan: Plan, progress: Progress) -> tuple[Results, Scores]:
        """Write the answers of all sets as one file, and what results.json holds."""
        scores = Scores()
        answered = dict.fromkeys(plan["sets"], 0)

        def rows() -> Iterator[PredictionRow]:
            for name in answered:
                for row in progress.answers_of(name):
                    answered[name] += 1
                    scores.add(row)
                    yield row

        write_jsonl_atomically(self.out / SIDECAR, rows())
        for name, count in answered.items():
            drawn = plan["sets"][name]["drawn"]
            # A mark that would cross the picture's border cannot be drawn.
            plan["sets"][name] |= {"asked": count, "answered": count, "not_asked": drawn - count}
        results = Results(**plan, complete=not plan["missing"], scores=finite(scores.summary()))
        write_results(self.out, results)
        return results, scores


def _differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return `key: old -> new` of the keys of `new`, and of mappings in it, that changed."""
    found = []
    for key, value in new.items():
        before = old.get(key)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            found += [f"{key}.{change}" for change in _differing(before, value)]
        elif before != value:
            found.append(f"{key}: {before!r} -> {value!r}")
    return found


def _is_draw(folder: Path) -> bool:
    """Return whether a folder holds the questions of a draw, and nothing else."""
    return folder.is_dir() and all(
        path.suffix == ".jsonl" and set_of(path.stem) in SETS for path in folder.iterdir()
    )
