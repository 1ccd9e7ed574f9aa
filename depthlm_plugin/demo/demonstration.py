"""The whole job offline with the real command, from synthetic scenes to a table of scores."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..errors import DepthLMError
from ..host.cli_process import train
from ..scoring.files import read_predictions
from ..scoring.prediction import SIDECAR
from .scenes import CROP_PX, FOCAL_PX, write_scenes
from .sheet import prediction_sheet

TRAIN_SCENES, HELD_OUT_SCENES, POINTS = 3000, 150, 4
STEPS = 1800
_MARK = "depthlm-demo.json"  # what a folder that may be overwritten contains


def demonstrate(out: Path, seed: int, reference: str = "marker") -> tuple[str, bool]:
    """Make scenes and a tiny model, evaluate, train, evaluate, saying on stderr what is done.

    Args:
        out: A folder to make, or that of an earlier demonstration, which is removed.
        seed: Of scenes, weights and training.
        reference: How questions refer to their pixel: `marker` or `text`.

    Returns:
        A table of the scores before and after, and whether the model got past a constant answer.

    Raises:
        DepthLMError: When the folder holds something else, or LLaMA-Factory fails.
    """
    out = _prepare(out, seed)
    started = time.monotonic()
    _say(f"1/5 {TRAIN_SCENES} training scenes and {HELD_OUT_SCENES} held-out scenes")
    _write_data(out / "data", seed)
    _say("2/5 a tiny Qwen2.5-VL with random weights")
    from .tiny_vlm import build_tiny_qwen  # transformers takes seconds to import

    model = build_tiny_qwen(out / "model", seed=seed)
    _say("3/5 evaluation before training: llamafactory-cli train before.yaml")
    _llamafactory(out, "before", _evaluation(model, out / "data", reference))
    _say(f"4/5 training, {STEPS} steps: llamafactory-cli train trained.yaml")
    _llamafactory(out, "trained", _training(model, out / "data", reference, seed), STEPS)
    _say("5/5 evaluation after training: llamafactory-cli train after.yaml")
    _llamafactory(out, "after", _evaluation(out / "trained", out / "data", reference))

    before, after = (_results(out / name) for name in ("before", "after"))
    predictions = out / "after" / SIDECAR
    rows = list(read_predictions(predictions))
    prediction_sheet(rows, out / "data", FOCAL_PX, CROP_PX).save(out / "predictions.png")
    minutes = (time.monotonic() - started) / 60
    _say(f"picture: {out / 'predictions.png'}   answers: {predictions}   {minutes:.1f} minutes")
    _say(f"more: depthlm report {out / 'after'} --media-dir {out / 'data'} --out report.html")
    _say(f"click: depthlm app --model {out / 'trained'}, and open a picture of {out / 'data'}")
    learnt = after["predict_delta1"] > after["predict_constant_delta1"]
    if not learnt:
        _say("the model did not get past a constant answer: please report this with the seed")
    return _table(before, after), learnt


def _prepare(out: Path, seed: int) -> Path:
    """Make the folder anew, marked as one that may be overwritten; return its absolute path."""
    out = out.resolve()
    if out.exists() and any(out.iterdir()):
        if not (out / _MARK).is_file():
            raise DepthLMError(f"{out} is not empty and not an earlier demo; choose another --out")
        shutil.rmtree(out)
    out.mkdir(parents=True, exist_ok=True)
    (out / _MARK).write_text(json.dumps({"seed": seed}) + "\n", encoding="utf-8")
    return out


def _write_data(folder: Path, seed: int) -> None:
    """Write the scenes for training and for evaluation, and the dataset_info.json of both."""
    info: dict[str, Any] = {}
    with tqdm(total=TRAIN_SCENES + HELD_OUT_SCENES, unit="scene", disable=None, delay=2) as bar:
        for name, scenes in (("train", TRAIN_SCENES), ("heldout", HELD_OUT_SCENES)):
            count = _counter(bar.update)
            path = write_scenes(
                folder, scenes=scenes, points=POINTS, seed=seed, name=name, progress=count
            )
            info[name] = {"file_name": path.name, "formatting": "depthlm"}
    text = json.dumps(info, indent=2)
    (folder / "dataset_info.json").write_text(text + "\n", encoding="utf-8")


def _counter(update: Callable[[int], Any]) -> Callable[[int], None]:
    """Return a progress callback for running counts from one that takes increments."""
    seen = 0

    def progress(count: int) -> None:
        nonlocal seen
        update(count - seen)
        seen = count

    return progress


def _common(model: Path, data: Path, reference: str) -> dict[str, Any]:
    """Return what the recipes of training and evaluation have in common."""
    return {
        "model_name_or_path": str(model),
        "template": "qwen2_vl",
        "stage": "sft",
        "finetuning_type": "full",
        "dataset_dir": str(data),
        "cutoff_len": 128,
        "preprocessing_num_workers": 2,
        "depthlm": {
            "focal_px": FOCAL_PX,
            "crop_height": [CROP_PX, CROP_PX],
            "crop_width": [CROP_PX, CROP_PX],
            "reference": reference,
            "prompt": "plain",
            "points_per_record": "all",
        },
        "use_cpu": True,
        "report_to": "none",
    }


def _training(model: Path, data: Path, reference: str, seed: int) -> dict[str, Any]:
    common = _common(model, data, reference)
    common["depthlm"] |= {"points_per_record": POINTS}
    return common | {
        "do_train": True,
        "dataset": "train",
        "freeze_vision_tower": False,  # weights are random: everything has to learn
        "freeze_multi_modal_projector": False,
        "disable_gradient_checkpointing": True,
        "per_device_train_batch_size": 32,
        "max_steps": STEPS,
        "learning_rate": 2.0e-3,
        "lr_scheduler_type": "cosine",
        "warmup_steps": 90,
        "adam_beta2": 0.98,
        "seed": seed,
        "dataloader_num_workers": 1,
        "logging_steps": 20,
        "save_strategy": "no",
    }


def _evaluation(model: Path, data: Path, reference: str) -> dict[str, Any]:
    return _common(model, data, reference) | {
        "do_predict": True,
        "predict_with_generate": True,
        "eval_dataset": "heldout",
        "per_device_eval_batch_size": 100,
        "max_new_tokens": 8,
        "do_sample": False,
    }


def _llamafactory(out: Path, name: str, recipe: dict[str, Any], steps: int = 0) -> None:
    """Run `llamafactory-cli train` in its own process, as a user would, showing its progress."""
    recipe["output_dir"] = str(out / name)
    environment = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(out / "cache")}
    with tqdm(total=steps, unit="step", disable=None if steps else True) as bar:
        train(
            recipe,
            out / f"{name}.yaml",
            environment=environment,
            poll=lambda: bar.update(_current_step(out / name) - bar.n),
        )


def _current_step(output_dir: Path) -> int:
    log = output_dir / "trainer_log.jsonl"
    lines = log.read_text(encoding="utf-8").splitlines() if log.is_file() else []
    return int(json.loads(lines[-1]).get("current_steps", 0)) if lines else 0


def _results(output_dir: Path) -> dict[str, float]:
    text = (output_dir / "predict_results.json").read_text(encoding="utf-8")
    results: dict[str, float] = json.loads(text)
    return results


def _table(before: dict[str, float], after: dict[str, float]) -> str:
    lines = [
        f"held-out scenes, {after['predict_n']:.0f} points   delta1  AbsRel  unparsed",
        f"  before training                 {_cells(before)}",
        f"  after training                  {_cells(after)}",
        f"  best constant ({after['predict_constant_m']:.2f} m)          "
        f"{after['predict_constant_delta1']:.3f}",
    ]
    return "\n".join(lines)


def _cells(results: dict[str, float]) -> str:
    abs_rel = results.get("predict_abs_rel")
    return (
        f"{results['predict_delta1']:.3f}   {'-' if abs_rel is None else f'{abs_rel:.3f}':5}"
        f"   {results['predict_parse_failure_rate']:.3f}"
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
