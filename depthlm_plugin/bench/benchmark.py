"""`depthlm bench`: draw the points, ask the model, score; stopped and started again it goes on."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from .. import __version__
from ..config.block import DepthLMConfig
from ..config.saved import load_config, saved_template
from ..errors import ConfigError, DepthLMError
from ..host.cli_process import train
from ..resources import data_folder
from ..scoring.prediction import SIDECAR, PredictionRow, write_jsonl_atomically
from ..scoring.published import SETS
from ..scoring.scores import Scores, finite
from .progress import QUESTIONS, RUN, Answers
from .questions import count_points, draw, drawn_records, parts_of
from .sets import BenchSet, find_sets

RESULTS = "results.json"
_PLAN = "bench.json"
_FORMAT = 1


@dataclass(frozen=True)
class Bench:
    """What is asked.

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

    def run(self) -> tuple[dict[str, Any], Scores]:
        """Answer what is not answered yet; return what results.json holds, and the scores.

        Raises:
            DepthLMError: For a folder of another bench, or when LLaMA-Factory fails; what is
                answered is kept.
        """
        found, missing = find_sets(self.data, self.sets)
        answers = Answers(self.out)
        plan = self._plan(found, missing)
        answers.harvest()
        waiting = answers.open_parts()
        if waiting:
            self._ask(answers, waiting)
        left = answers.open_parts()
        if left:
            raise DepthLMError(
                f"{', '.join(left)} were not answered, though LLaMA-Factory ended well; see"
                f" {self.out / RUN}.log"
            )
        return self._results(plan, answers)

    def _plan(self, found: Sequence[BenchSet], missing: list[str]) -> dict[str, Any]:
        """Return the plan of the folder, made now if there is none; a finished one is obeyed."""
        path = self.out / _PLAN
        own = self._description()
        if path.is_file():
            plan: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            differing = _differing(plan, own)
            if differing:
                raise ConfigError(
                    f"{self.out} holds another bench ({'; '.join(differing)}); choose another --out"
                )
            return plan
        if self.out.exists() and any(self.out.iterdir()):
            if not (self.out / QUESTIONS).is_dir():
                raise ConfigError(f"{self.out} is not empty and not a bench; choose another --out")
            _clear(self.out / QUESTIONS)  # a draw that was cut off
        sets = {one.name: self._draw(one) for one in found}
        plan = own | {"sets": sets, "missing": missing}
        path.write_text(json.dumps(plan, indent=2) + "\n", encoding="utf-8")
        return plan

    def _description(self) -> dict[str, Any]:
        """Return what must not change between one start and the next."""
        own = {
            key.removeprefix("depthlm."): value
            for key, value in self.overrides.items()
            if key.startswith("depthlm.")
        }
        config = DepthLMConfig.from_block(own, load_config(self.adapter or self.model))
        described = {
            "format": _FORMAT,
            "version": __version__,
            "model": self.model,
            "adapter": self.adapter,
            "block": config.to_dict(),
            "protocol": {"points": self.points or "all", "seed": self.seed},
            "data": str(self.data.resolve()),
            "asked_for": list(self.sets) or list(SETS),
        }
        plain: dict[str, Any] = json.loads(json.dumps(described))
        return plain

    def _draw(self, one: BenchSet) -> dict[str, Any]:
        """Write the questions of a set; return what is said of it."""
        counts = count_points(one)
        drawn = draw(counts, self.points, one.name, self.seed)
        folder = self.out / QUESTIONS
        folder.mkdir(parents=True, exist_ok=True)
        for number, part in enumerate(parts_of(drawn_records(one, counts, drawn, self.data))):
            write_jsonl_atomically(folder / f"{one.name}.{number:04d}.jsonl", part)
        return {
            "dataset": one.dataset,
            "records": str(one.records),
            "options": dict(one.options),
            "points": int(counts.sum()),
            "drawn": len(drawn),
        }

    def _ask(self, answers: Answers, waiting: Sequence[str]) -> None:
        plan = json.loads((self.out / _PLAN).read_text(encoding="utf-8"))
        info = {
            name: {
                "file_name": f"{name}.jsonl",
                "formatting": "depthlm",
                "depthlm": plan["sets"][name.rpartition(".")[0]]["options"],
            }
            for name in answers.parts()
        }
        folder = self.out / QUESTIONS
        text = json.dumps(info, indent=2)
        (folder / "dataset_info.json").write_text(text + "\n", encoding="utf-8")
        done = len(answers.parts()) - len(waiting)
        with tqdm(total=len(answers.parts()), initial=done, unit="part", disable=None) as bar:

            def poll() -> None:
                answers.harvest()
                bar.update(len(answers.parts()) - len(answers.open_parts()) - bar.n)

            try:
                train(self._recipe(waiting), self.out / f"{RUN}.yaml", poll=poll)
            finally:
                answers.harvest()

    def _recipe(self, waiting: Sequence[str]) -> dict[str, Any]:
        import yaml

        base = data_folder("recipes") / "depthlm_qwen_eval.yaml"
        recipe: dict[str, Any] = yaml.safe_load(base.read_text(encoding="utf-8"))
        template = self.template or saved_template(self.adapter or self.model)
        if template is None:
            raise ConfigError(
                f"{self.adapter or self.model} does not say its chat template; give --template"
            )
        recipe |= {
            "model_name_or_path": self.model,
            "adapter_name_or_path": self.adapter,
            "finetuning_type": "lora" if self.adapter else "full",
            "template": template,
            "eval_dataset": ",".join(waiting),
            "eval_on_each_dataset": True,
            "dataset_dir": str(self.out / QUESTIONS),
            "media_dir": str(self.data),
            "output_dir": str(self.out / RUN),
            "overwrite_cache": True,
        }
        for key, value in self.overrides.items():
            owner, _, name = key.rpartition(".")
            (recipe.setdefault(owner, {}) if owner else recipe)[name] = value
        return recipe

    def _results(self, plan: dict[str, Any], answers: Answers) -> tuple[dict[str, Any], Scores]:
        scores = Scores()
        answered = dict.fromkeys(plan["sets"], 0)

        def rows() -> Iterator[PredictionRow]:
            for name in answered:
                for row in answers.merged(name):
                    answered[name] += 1
                    scores.add(row)
                    yield row

        write_jsonl_atomically(self.out / SIDECAR, rows())
        for name, count in answered.items():
            own = plan["sets"][name]
            # A mark that would cross the picture's border cannot be drawn.
            own |= {"asked": count, "answered": count, "not_asked": own["drawn"] - count}
        results = plan | {"complete": not plan["missing"], "scores": finite(scores.summary())}
        text = json.dumps(results, indent=2) + "\n"
        partial = self.out / f"{RESULTS}.part"
        partial.write_text(text, encoding="utf-8")
        partial.replace(self.out / RESULTS)
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


def _clear(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    print(f"drawing again: an earlier draw in {folder} was cut off", file=sys.stderr)
