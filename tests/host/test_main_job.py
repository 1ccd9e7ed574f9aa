"""The main job through the unmodified command line, on real photographs, for each model family."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from support.host_tools import ROOT, SMALL, Cli, environment, losses, overrides, rows, run

RECIPES = ROOT / "recipes"
TEMPLATES = {"qwen": "qwen2_vl", "pixtral": "pixtral"}
STEPS = 6
CPU = {"bf16": False, "use_cpu": True, "report_to": "none"}
WORKERS = {"preprocessing_num_workers": 2, "dataloader_num_workers": 2}


class Job:
    """One family's commands."""

    def __init__(self, family: str, model: Path, data: Path, out: Path) -> None:
        self.family, self.model, self.data, self.out = family, model, data, out

    def train(self, output_dir: Path, recipe: str = "", **extra: object) -> list[str]:
        recipe = recipe or f"depthlm_{self.family}_lora.yaml"
        values = {
            "model_name_or_path": self.model,
            "dataset": "ibims1",
            "dataset_dir": self.data,
            "output_dir": output_dir,
            "max_steps": STEPS,
            "save_steps": STEPS // 2,
            "logging_steps": 1,
            "per_device_train_batch_size": 2,
            "gradient_accumulation_steps": 1,
            "learning_rate": 5e-3,
            "plot_loss": False,
            "depthlm": SMALL,
        }
        values |= CPU | WORKERS | extra
        return ["train", str(RECIPES / recipe), *overrides(**values)]

    def evaluate(self, output_dir: Path, **extra: object) -> list[str]:
        """The evaluation recipe; nothing but the weights says how images are shown."""
        values = {
            "model_name_or_path": self.model,
            "template": TEMPLATES[self.family],
            "eval_dataset": "a,b",
            "dataset_dir": self.data,
            "output_dir": output_dir,
            "per_device_eval_batch_size": 2,
            "max_new_tokens": 12,
            "depthlm": {"points_per_record": 1},
        }
        values |= CPU | WORKERS | extra
        return ["train", str(RECIPES / "depthlm_qwen_eval.yaml"), *overrides(**values)]


@pytest.fixture(scope="module", params=["qwen", "pixtral"])
def job(request: pytest.FixtureRequest, models, data: Path, tmp_path_factory) -> Job:
    return Job(request.param, models[request.param], data, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def trained(job: Job, cli: Cli) -> Path:
    """An adapter trained without interruption."""
    output_dir = job.out / "trained"
    cli(*job.train(output_dir))
    return output_dir


@pytest.fixture(scope="module")
def evaluated(job: Job, trained: Path, cli: Cli) -> Path:
    """Base and adapter, evaluated in one process."""
    output_dir = job.out / "evaluated"
    cli(*job.evaluate(output_dir, adapter_name_or_path=trained))
    return output_dir


def test_training_learns_something_and_keeps_its_geometry(trained: Path) -> None:
    curve = losses(trained)
    assert list(curve) == list(range(1, STEPS + 1))
    assert curve[STEPS] < curve[1]
    for folder in (trained, trained / f"checkpoint-{STEPS // 2}"):
        saved = json.loads((folder / "depthlm_config.json").read_text())["depthlm"]
        assert {key: saved[key] for key in SMALL} == SMALL


def test_the_trained_folder_has_its_model_card(job: Job, trained: Path, data: Path) -> None:
    text = (trained / "README.md").read_text()
    front = ModelCard(text).data
    assert (front.library_name, front.pipeline_tag) == ("peft", "image-text-to-text")
    assert front.base_model is None  # a local folder is nothing on the hub
    assert f"{job.family}, trained with" in text
    assert "| ibims1 | CC BY-NC-SA. |" in text
    assert f"| Steps | {STEPS} of 2 samples, learning rate 0.005 |" in text
    assert "300 px on both axes" in text
    assert "\nNot evaluated.\n" in text
    checkpoint = (trained / f"checkpoint-{STEPS // 2}" / "README.md").read_text()
    assert f"| Steps | {STEPS // 2} of 2 samples" in checkpoint
    for place in (job.out, job.model, data):
        assert str(place.parent) not in text + checkpoint


def test_killed_and_resumed_is_the_uninterrupted_run(job: Job, trained: Path, cli: Cli) -> None:
    output_dir = job.out / "killed"
    process = subprocess.Popen(
        ["llamafactory-cli", *job.train(output_dir)],
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    checkpoint = output_dir / f"checkpoint-{STEPS // 2}" / "trainer_state.json"
    while not checkpoint.exists():
        assert process.poll() is None, "training ended before its first checkpoint"
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (output_dir / "trainer_state.json").exists(), "it finished before it was killed"

    # As if it had been killed while it saved another one.
    (output_dir / f"checkpoint-{STEPS - 1}").mkdir()
    shutil.copy(checkpoint.with_name("adapter_config.json"), output_dir / f"checkpoint-{STEPS - 1}")

    result = cli(*job.train(output_dir))

    assert f"checkpoint-{STEPS - 1} was cut off while it was saved" in result.stderr + result.stdout
    assert losses(output_dir) == pytest.approx(losses(trained), rel=1e-4)


def test_two_processes_train_on_the_same_batches(job: Job, trained: Path, cli: Cli) -> None:
    """Two ranks with one sample each see what one process sees with two."""
    output_dir = job.out / "two"
    arguments = job.train(
        output_dir, per_device_train_batch_size=1, max_steps=2, save_steps=2, ddp_backend="gloo"
    )
    cli(*arguments, FORCE_TORCHRUN="1", NPROC_PER_NODE="2")
    assert losses(output_dir)[1] == pytest.approx(losses(trained)[1], rel=5e-3)


def test_evaluation_scores_every_point_once(evaluated: Path) -> None:
    predictions = rows(evaluated / "depth_predictions.jsonl")
    assert [(row["dataset"], row["row"]) for row in predictions] == [
        *(("a", i) for i in range(4)),
        *(("b", i) for i in range(3)),
    ]
    results = json.loads((evaluated / "predict_results.json").read_text())
    assert results["predict_n"] == 7
    assert (results["predict_a_n"], results["predict_b_n"]) == (4, 3)
    for name in ("delta1", "delta2", "delta3", "parse_failure_rate", "constant_delta1"):
        assert {f"predict_{name}", f"predict_a_{name}", f"predict_b_{name}"} <= results.keys()
    failures = sum(row["value"] is None for row in predictions if row["dataset"] == "a")
    assert results["predict_a_parse_failure_rate"] == pytest.approx(failures / 4)
    assert len(rows(evaluated / "generated_predictions.jsonl")) == 7
    assert [row["of"] for row in predictions] == [4] * 4 + [3] * 3
    assert len({row["run"] for row in predictions}) == 1


def test_two_processes_give_the_same_predictions(
    job: Job, trained: Path, evaluated: Path, cli: Cli
) -> None:
    output_dir = job.out / "evaluated-by-two"
    arguments = job.evaluate(output_dir, adapter_name_or_path=trained, ddp_backend="gloo")
    cli(*arguments, FORCE_TORCHRUN="1", NPROC_PER_NODE="2")
    expected = (evaluated / "depth_predictions.jsonl").read_text()
    assert (output_dir / "depth_predictions.jsonl").read_text() == expected


def test_answers_are_those_of_plain_transformers(
    job: Job, trained: Path, evaluated: Path, data: Path
) -> None:
    """The same weights, processor and view without LLaMA-Factory say the same."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForImageTextToText, AutoProcessor

    from depthlm_plugin import DepthSamples

    processor = AutoProcessor.from_pretrained(job.model)
    base = AutoModelForImageTextToText.from_pretrained(job.model)
    model = PeftModel.from_pretrained(base, trained).eval()
    multiple = {"qwen": 28, "pixtral": 16}[job.family]
    samples = DepthSamples(
        data / "a.jsonl", depth_kind="z", focal_px=SMALL["focal_px"], size_multiple=multiple
    )
    for sample, row in zip(samples, rows(evaluated / "depth_predictions.jsonl"), strict=False):
        question = sample.user_turn["content"].removeprefix("<image>")
        text = {
            "qwen": "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
            f"<|vision_start|><|image_pad|><|vision_end|>{question}<|im_end|>\n"
            "<|im_start|>assistant\n",
            "pixtral": f"<s>[INST][IMG]{question}[/INST]",
        }[job.family]
        inputs = processor(
            text=text, images=sample.image, return_tensors="pt", add_special_tokens=False
        )
        with torch.inference_mode():
            tokens = model.generate(**inputs, max_new_tokens=12, do_sample=False)
        answer = processor.tokenizer.decode(
            tokens[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True
        )
        assert answer == row["text"], f"row {row['row']}"
        if "mm_token_type_ids" in inputs:  # what LLaMA-Factory leaves out matters to this model
            with torch.inference_mode():
                grid = model(**inputs).logits
                line = model(**{k: v for k, v in inputs.items() if k != "mm_token_type_ids"}).logits
            assert not torch.allclose(grid[0, -1], line[0, -1], atol=1e-3)


def test_depthlm_predict_says_the_same(
    job: Job, trained: Path, evaluated: Path, data: Path
) -> None:
    row = rows(evaluated / "depth_predictions.jsonl")[0]
    record = rows(data / "a.jsonl")[0]
    result = run(
        [
            "depthlm",
            "predict",
            str(data / record["image"]),
            "--at",
            ",".join(map(str, row["pixel"])),
            "--intrinsics",
            ",".join(map(str, record["intrinsics"][:4])),
            "--model",
            str(job.model),
            "--adapter",
            str(trained),
        ]
    )
    said = json.loads(result.stdout)  # nothing but the object is on stdout
    assert said["text"].startswith(row["text"])  # evaluation stops after 12 tokens
    assert said["pixel"] == row["pixel"]


def test_merged_model_gives_the_same_answers(
    job: Job, trained: Path, evaluated: Path, cli: Cli
) -> None:
    merged = job.out / "merged"
    export = overrides(
        model_name_or_path=job.model,
        adapter_name_or_path=trained,
        template=TEMPLATES[job.family],
        finetuning_type="lora",
        export_dir=merged,
        export_device="cpu",
        infer_dtype="float32",
    )
    recipe = job.out / "export.yaml"
    recipe.write_text("\n".join(line.replace("=", ": ", 1) for line in export) + "\n")
    cli("export", str(recipe))
    assert json.loads((merged / "depthlm_config.json").read_text())["depthlm"]["focal_px"] == 300
    card = (merged / "README.md").read_text()
    assert ModelCard(card).data.library_name == "transformers"
    scored = {one.dataset_name: one.metric_value for one in ModelCard(card).data.eval_results}
    results = json.loads((evaluated / "predict_results.json").read_text())
    assert scored == {name: results[f"predict_{name}_delta1"] for name in ("a", "b")}
    assert f"| Steps | {STEPS} of 2 samples" in card
    assert "crops of 224 to 308 x 168 to 224 px" in card
    assert "| a | depth | 4 | delta1 |" in card
    assert "| ibims1 | CC BY-NC-SA. |" in card
    assert str(job.out.parent) not in card

    output_dir = job.out / "evaluated-merged"
    cli(
        *job.evaluate(
            output_dir,
            model_name_or_path=merged,
            adapter_name_or_path=None,
            finetuning_type="full",
        )
    )
    expected, merged = (
        rows(folder / "depth_predictions.jsonl") for folder in (evaluated, output_dir)
    )
    assert {row.pop("run") for row in expected} != {row.pop("run") for row in merged}
    assert merged == expected


def test_four_bit_training_runs_on_the_cpu(job: Job, cli: Cli) -> None:
    output_dir = job.out / "qlora"
    arguments = job.train(
        output_dir,
        "depthlm_qwen_qlora.yaml",
        template=TEMPLATES[job.family],
        max_steps=2,
        save_steps=2,
    )
    result = cli(*arguments)
    assert "Quantizing model to 4 bit" in result.stderr + result.stdout
    assert len(losses(output_dir)) == 2


def test_full_training_recipe_trains_the_vision_tower(job: Job, cli: Cli) -> None:
    if job.family != "qwen":
        pytest.skip("the full recipe is for Qwen2.5-VL")
    output_dir = job.out / "full"
    extra = {"max_steps": 2, "save_steps": 2, "deepspeed": None}  # which is not installed here
    cli(*job.train(output_dir, "depthlm_qwen_full.yaml", **extra))
    from safetensors.torch import load_file

    before, after = (
        load_file(job.model / "model.safetensors"),
        load_file(output_dir / "model.safetensors"),
    )
    changed = {name for name in before if not before[name].equal(after[name])}
    assert any(name.startswith("visual.blocks") or ".visual.blocks" in name for name in changed)
    assert (output_dir / "depthlm_config.json").is_file()
