"""Answers while training: at every evaluation, scored, and without a trace in the training."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard, RepoUrl
from huggingface_hub.utils import filter_repo_objects
from support.host_tools import ROOT, SMALL, Cli, losses, rows
from support.loaded import Loaded

from depthlm_plugin.card.origin import training_on
from depthlm_plugin.config.block import DepthLMConfig
from depthlm_plugin.config.saved import save_config
from depthlm_plugin.errors import ConfigError
from depthlm_plugin.host.eval_answers import greedy
from depthlm_plugin.sampling.sample import Question

RECIPES = [
    path
    for path in sorted((ROOT / "recipes").rglob("*.yaml"))
    if "do_train: true" in path.read_text()
]
TASKS = {"depth": 1.0, "speed": 1.0}
STEPS = 6
ASKED = 5


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def values(models, data: Path) -> dict[str, Any]:
    """A training run that evaluates `a` (4 questions) and `b` (3) at every third step."""
    return {
        "model_name_or_path": str(models["qwen"]),
        "template": "qwen2_vl",
        "stage": "sft",
        "do_train": True,
        "finetuning_type": "lora",
        "lora_dropout": 0.2,  # training draws random numbers
        "dataset": "ibims1",
        "eval_dataset": "a,b",
        "dataset_dir": str(data),
        "cutoff_len": 4096,
        "image_max_pixels": 1_680_000,
        "compute_accuracy": True,
        "max_steps": STEPS,
        "learning_rate": 2e-2,
        "per_device_train_batch_size": 2,
        "per_device_eval_batch_size": 2,
        "eval_strategy": "steps",
        "eval_steps": 3,
        "eval_on_start": True,
        "save_strategy": "steps",
        "save_steps": 3,
        "logging_steps": 1,
        "plot_loss": False,
        "gradient_accumulation_steps": 1,
        "use_cpu": True,
        "report_to": "none",
        "disable_tqdm": True,
        "depthlm": SMALL | {"prompt": "plain"},
    }


def train(values: dict[str, Any], output_dir: Path, **extra: Any) -> Path:
    """LLaMA-Factory's own run, in this process."""
    from llamafactory.train.tuner import run_exp

    block = values["depthlm"] | extra.pop("depthlm", {})
    run_exp(values | extra | {"output_dir": str(output_dir), "depthlm": block})
    return output_dir


def evaluations(output_dir: Path) -> dict[int, dict[str, float]]:
    """Step -> metrics as transformers logged them; the last of a step counts."""
    history = json.loads((output_dir / "trainer_state.json").read_text())["log_history"]
    return {
        entry["step"]: entry for entry in history if any(key.startswith("eval_") for key in entry)
    }


@pytest.fixture(scope="module")
def plain(values, tmp_path_factory) -> Path:
    return train(values, tmp_path_factory.mktemp("plain") / "run")


@pytest.fixture(scope="module")
def answered(values, tmp_path_factory) -> Path:
    return train(
        values,
        tmp_path_factory.mktemp("answered") / "run",
        max_new_tokens=12,
        metric_for_best_model="delta1",
        load_best_model_at_end=True,
        depthlm={"eval_answers": ASKED},
    )


def test_training_is_the_same_to_the_last_bit(plain: Path, answered: Path) -> None:
    assert losses(answered) == losses(plain)
    ours, theirs = evaluations(answered), evaluations(plain)
    assert [*ours] == [*theirs] == [0, 3, 6]
    for key in ("eval_loss", "eval_accuracy"):
        assert [ours[step][key] for step in ours] == [theirs[step][key] for step in ours]
    assert not any("delta1" in key for entry in theirs.values() for key in entry)


def test_every_evaluation_is_scored_on_the_same_questions(answered: Path) -> None:
    folder = answered / "eval_answers"
    names = ["final", *(f"step-{step}" for step in (0, 3, 6))]
    assert sorted(path.stem for path in folder.iterdir()) == names
    asked = {tuple(map(asked_of, rows(folder / f"{name}.jsonl"))) for name in names}
    assert len(asked) == 1
    assert [dataset for dataset, *_ in asked.pop()] == ["a", "a", "a", "b", "b"]
    for step, metrics in evaluations(answered).items():
        predictions = rows(folder / f"step-{step}.jsonl")
        assert (metrics["eval_n"], metrics["eval_a_n"], metrics["eval_b_n"]) == (ASKED, 3, 2)
        unread = sum(row["value"] is None for row in predictions if row["dataset"] == "b")
        assert metrics["eval_b_parse_failure_rate"] == unread / 2
        assert 0 < metrics["eval_answer_seconds"] < metrics["eval_runtime"]
        assert metrics["eval_answers_per_second"] > 0
    assert not (answered / "depth_predictions.jsonl").exists()


def asked_of(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["dataset"], row["task"], row["row"], row["point"]


def test_the_best_model_is_the_one_with_the_best_answers(answered: Path) -> None:
    state = json.loads((answered / "trainer_state.json").read_text())
    delta1 = {step: m["eval_delta1"] for step, m in evaluations(answered).items() if step}
    best = max(delta1, key=delta1.__getitem__)
    assert (state["best_metric"], state["best_global_step"]) == (delta1[best], best)
    answers = {path.stem: path.read_text() for path in (answered / "eval_answers").iterdir()}
    assert answers["final"] == answers[f"step-{best}"] != answers["step-0"]
    results = json.loads((answered / "eval_results.json").read_text())
    assert results["eval_delta1"] == delta1[best]


def test_the_model_card_has_the_scores_of_the_weights_that_were_kept(answered: Path) -> None:
    results = json.loads((answered / "eval_results.json").read_text())
    card = ModelCard.load(answered / "README.md")
    scored = {one.dataset_name: one.metric_value for one in card.data.eval_results}
    assert scored == {name: results[f"eval_{name}_delta1"] for name in ("a", "b")}
    assert "Not evaluated" in (answered / "checkpoint-6" / "README.md").read_text()


def test_what_is_pushed_holds_the_model_card(values, tmp_path: Path, monkeypatch) -> None:
    """Only the calls of the network are replaced."""
    pushed = []

    def upload(*, repo_id: str, folder_path: str, **kwargs: Any) -> None:
        held = {path.name: path.read_text() for path in Path(folder_path).glob("*.[mj]*")}
        pushed.append((repo_id, held))

    def create(repo_id: str, **kwargs: Any) -> RepoUrl:
        return RepoUrl(f"https://huggingface.co/{repo_id}")

    monkeypatch.setattr("transformers.trainer.create_repo", create)
    monkeypatch.setattr("transformers.trainer.upload_folder", upload)
    own = {"max_steps": 1, "eval_strategy": "no", "eval_on_start": False, "save_strategy": "no"}
    hub = {"push_to_hub": True, "hub_model_id": "me/sees-metres"}
    train({**values, **own, **hub}, tmp_path / "run")
    repo, files = pushed[-1]
    assert repo == "me/sees-metres"
    assert files["README.md"] == (tmp_path / "run" / "README.md").read_text()
    assert "hf download me/sees-metres --local-dir sees-metres\n" in files["README.md"]
    assert "depthlm_config.json" in files


def test_what_an_export_pushes_holds_the_model_card(
    values, models, tmp_path: Path, monkeypatch
) -> None:
    """LLaMA-Factory pushes weights and tokenizer; only the calls of the network are replaced."""
    from depthlm_plugin.host.publish import export_model_with

    taught, out = tmp_path / "taught", tmp_path / "out"
    shutil.copytree(models["qwen"], taught)
    save_config(DepthLMConfig(**SMALL), taught, "qwen2_vl")
    steps = []

    def upload(*, repo_id: str, folder_path: str, allow_patterns: list[str], **kwargs: Any) -> None:
        steps.append(
            (
                repo_id,
                sorted(
                    filter_repo_objects(
                        [path.name for path in Path(folder_path).iterdir()],
                        allow_patterns=allow_patterns,
                    )
                ),
            )
        )

    monkeypatch.setattr("huggingface_hub.upload_folder", upload)
    export = export_model_with(lambda args: steps.append(sorted(p.name for p in out.iterdir())))
    given = {"model_name_or_path": str(taught), "template": "qwen2_vl", "export_dir": str(out)}
    export(given | {"export_hub_model_id": "me/sees-metres"})
    both = ["README.md", "depthlm_config.json"]
    assert steps == [both, ("me/sees-metres", both)]
    assert "\nNot evaluated.\n" in (out / "README.md").read_text()

    training = training_on(str(models["qwen"]), [], [])
    part = {"dataset": "rooms", "task": "depth", "intervals": {}}
    metrics = {"n": 9, "delta1": 0.5, "parse_failure_rate": 0.0}
    scores = {"parts": [part | {"metrics": metrics}]}
    save_config(DepthLMConfig(**SMALL), taught, "qwen2_vl", training=training, scores=scores)
    adapter = {"adapter_name_or_path": str(taught), "model_name_or_path": str(models["qwen"])}
    for more, evaluated in (
        ({}, True),
        ({"depthlm": {"focal_px": 200}}, False),
        (adapter, True),
        (adapter | {"model_name_or_path": str(models["qwen3vl"])}, False),
        (adapter | {"adapter_name_or_path": f"{models['pixtral']},{taught}"}, False),
    ):
        export(given | more)
        card = (out / "README.md").read_text()
        assert ("| rooms | depth | 9 | delta1 | 0.500 |" in card) == evaluated, more
        assert ("\nNot evaluated.\n" in card) != evaluated
        assert "crops of 224 to 308 x 168 to 224 px" in card  # as it was trained
    steps.clear()
    export(given | {"model_name_or_path": str(models["qwen"]), "export_hub_model_id": "me/other"})
    assert steps == [both]  # of before: a model without depth is LLaMA-Factory's own business


def test_answers_are_those_of_an_evaluation_after_training(values, tmp_path: Path) -> None:
    """Of the untrained model, whose texts are long; two tasks' questions share padded batches."""
    own = {key: value for key, value in values.items() if not key.startswith("save_")}
    own |= {"max_new_tokens": 12, "compute_accuracy": False}
    block = {"tasks": TASKS, "eval_answers": ASKED}
    train(own | {"eval_on_start": True, "max_steps": 1}, tmp_path / "during", depthlm=block)
    generate = {"do_train": False, "dataset": None, "do_predict": True, "do_sample": False}
    generate |= {"predict_with_generate": True}
    train(own | generate, tmp_path / "after", depthlm={"tasks": TASKS})
    after, during = (
        {asked_of(row): row["text"] for row in rows(tmp_path / name)}
        for name in ("after/depth_predictions.jsonl", "during/eval_answers/step-0.jsonl")
    )
    assert len(after) == 14
    assert during == {key: after[key] for key in during}
    assert len(set(during.values())) == ASKED  # not all alike: this can fail


def test_two_processes_answer_as_one_does(values, answered: Path, cli: Cli, tmp_path: Path) -> None:
    """An odd number of questions, and loaders that stay: theirs must not be taken for ours."""
    own = {
        "output_dir": str(tmp_path / "run"),
        "max_new_tokens": 12,
        "max_steps": 1,
        "eval_steps": 1,
        "per_device_train_batch_size": 1,
        "per_device_eval_batch_size": 1,
        "dataloader_num_workers": 1,
        "dataloader_persistent_workers": True,
        "preprocessing_num_workers": 2,
        "ddp_backend": "gloo",
        "depthlm": values["depthlm"] | {"eval_answers": ASKED},
    }
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(json.dumps(values | own))
    said = cli("train", str(recipe), FORCE_TORCHRUN="1", NPROC_PER_NODE="2")
    one, two = (
        (folder / "eval_answers/step-0.jsonl").read_text()
        for folder in (answered, tmp_path / "run")
    )
    assert two == one
    found = evaluations(tmp_path / "run")
    keys = ("eval_delta1", "eval_n", "eval_b_n", "eval_parse_failure_rate")
    expected = evaluations(answered)[0]
    assert [found[0][key] for key in keys] == [expected[key] for key in keys]
    assert "eval_delta1" in found[1]
    assert "depthlm: step 1: 5 answers in " in said.stdout + said.stderr


def test_training_stops_early_on_answers(values, models, tmp_path: Path) -> None:
    """Full weights that do not move, datasets evaluated one by one, and answers never read."""
    own = {"finetuning_type": "full", "lora_dropout": 0, "eval_steps": 1, "save_steps": 1}
    own |= {
        "learning_rate": 0.0,
        "prediction_loss_only": True,
        "eval_on_start": False,
        "eval_on_each_dataset": True,
    }
    stopped = train(
        values | own,
        tmp_path / "stopped",
        early_stopping_steps=2,
        metric_for_best_model="abs_rel",
        greater_is_better=False,
        load_best_model_at_end=True,
        max_new_tokens=1,
        depthlm={"eval_answers": 2, "prompt": "official"},
    )
    assert [*losses(stopped)] == [1, 2, 3]
    history = json.loads((stopped / "trainer_state.json").read_text())["log_history"]
    parts = [entry for entry in history if any(key.startswith("eval_") for key in entry)]
    assert ["eval_a_loss" in entry for entry in parts] == [True, False] * 3
    assert ["eval_delta1" in entry for entry in parts] == [False, True] * 3  # of a and b, once
    assert parts[1]["eval_n"] == 2
    assert math.isnan(parts[1]["eval_abs_rel"])
    # Generating leaves nothing in what is saved with the weights.
    plain = train(values | own, tmp_path / "plain", max_steps=1, eval_strategy="no")
    saved = [json.loads((out / "generation_config.json").read_text()) for out in (stopped, plain)]
    assert saved[0] == saved[1]


def test_packed_training_is_evaluated_unpacked(values, tmp_path: Path) -> None:
    packed = {"neat_packing": True, "eval_on_start": False, "eval_steps": 1, "max_steps": 1}
    block = {"eval_answers": 2, "lazy": False}
    train(
        values | packed, tmp_path / "run", compute_accuracy=False, max_new_tokens=2, depthlm=block
    )
    assert evaluations(tmp_path / "run")[1]["eval_n"] == 2


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_the_evaluation_of_each_recipe_only_waits_to_be_uncommented(
    recipe: Path, tmp_path: Path
) -> None:
    from llamafactory.hparams import get_train_args
    from omegaconf import OmegaConf

    before, heading, block = recipe.read_text().partition("### evaluation while training")
    block, output, after = block.partition("### output")
    first, *lines = block.splitlines()
    block = "\n".join([first, *(line.removeprefix("# ") for line in lines)])
    before = before.replace("  # eval_answers:", "  eval_answers:")
    own = tmp_path / recipe.name
    own.write_text(before + heading + block + "\n" + output + after)
    content = OmegaConf.to_container(OmegaConf.load(own))
    content |= {"bf16": False, "use_cpu": True, "deepspeed": None}  # which is not installed here
    _, data_args, training_args, finetuning_args, _ = get_train_args(content)
    assert DepthLMConfig.from_block(data_args.depthlm).eval_answers == 256
    assert data_args.eval_dataset == ["depthlm_eval"]
    assert training_args.load_best_model_at_end
    assert training_args.greater_is_better
    assert training_args.metric_for_best_model in ("delta1", "score")
    assert finetuning_args.early_stopping_steps is not None


@pytest.fixture
def load(models, data: Path, tmp_path: Path):
    def load(block: dict[str, Any], **extra: Any) -> Loaded:
        own = {"eval_dataset": "a,b", "eval_strategy": "steps", "depthlm": SMALL | block}
        return Loaded(models["qwen"], data, tmp_path / "out", "qwen2_vl", **(own | extra))

    return load


@pytest.mark.parametrize("lazy", [True, False])
def test_every_task_has_its_share(load, lazy: bool) -> None:
    module = load({"eval_answers": 6, "tasks": TASKS, "lazy": lazy}).module
    asked = module["depthlm_answers"]
    questions = [Question.from_uri(images[0]) for images in asked["images"]]
    kinds = [(question.dataset, question.task) for question in questions]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        ("a", "depth"): 1,
        ("a", "speed"): 2,
        ("b", "depth"): 1,
        ("b", "speed"): 2,
    }
    assert len(module["eval_dataset"]) == 14
    whole = [*module["eval_dataset"]["input_ids"]]
    for question, answer in zip(asked["input_ids"], asked["labels"], strict=True):
        assert question + answer in whole


def test_answers_are_greedy_and_have_room() -> None:
    """The longest true answer fits twice, unless the recipe says otherwise."""
    settings = {"do_sample": True, "temperature": 0.95, "max_new_tokens": 1024, "num_beams": 1}
    assert greedy(settings, 10)["max_new_tokens"] == 64
    assert greedy(settings, 90)["max_new_tokens"] == 180
    ours = greedy(settings | {"max_new_tokens": 20}, 90)
    assert (ours["max_new_tokens"], ours["do_sample"], ours["use_cache"]) == (20, False, True)


def test_a_resumed_run_may_answer_more(load, answered: Path) -> None:
    block = {"prompt": "plain", "lazy": True}
    resumed = load(
        block | {"eval_answers": 2}, resume_from_checkpoint=str(answered / "checkpoint-3")
    )
    assert len(resumed.module["depthlm_answers"]) == 2
    with pytest.raises(ConfigError, match="its depthlm block was another one"):
        load(block | {"seed": 1}, resume_from_checkpoint=str(answered / "checkpoint-3"))


@pytest.mark.parametrize(
    ("extra", "found"),
    [
        ({"eval_dataset": None, "eval_strategy": "no"}, "eval_dataset, which names no depth data"),
        ({"eval_strategy": "no"}, "nothing is evaluated; set eval_strategy: steps"),
        ({"tokenized_path": "saved"}, "it needs the records, which tokenized_path replaces"),
    ],
    ids=["no-dataset", "no-evaluation", "tokenized"],
)
def test_what_could_not_be_obeyed_is_refused(load, extra: dict[str, Any], found: str) -> None:
    with pytest.raises(ConfigError, match=f"depthlm: eval_answers: .*{found}"):
        load({"eval_answers": 2}, **extra)


def test_zero_3_is_refused(load) -> None:
    from accelerate.utils.deepspeed import HfDeepSpeedConfig
    from transformers.integrations import deepspeed

    config = HfDeepSpeedConfig({"zero_optimization": {"stage": 3}})
    deepspeed.set_hf_deepspeed_config(config)
    try:
        with pytest.raises(ConfigError, match="cannot generate under DeepSpeed ZeRO-3; use ZeRO-2"):
            load({"eval_answers": 2})
    finally:
        deepspeed.unset_hf_deepspeed_config()
