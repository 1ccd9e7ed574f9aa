"""Task folders through lmms-eval itself: its loader, its command line, models behind a server."""

from __future__ import annotations

import argparse
import base64
import importlib.util
import io
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.answers import score
from support.host_tools import rows, run

from depthlm_plugin import DepthSamples
from depthlm_plugin.commands import harness
from depthlm_plugin.harness import lmms
from depthlm_plugin.kinds.ratio import RATIO
from depthlm_plugin.sampling.sample import Sample
from depthlm_plugin.scoring.scores import mean_over, score_rows

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("lmms_eval") is None,
    reason='needs lmms-eval, which the dev extra does not have: pip install "lmms-eval>=0.7.3"',
)

FOCAL_PX, POINTS = 300, 3


def write(data: Path, out: Path, *names: str, seed: int = 0) -> Path:
    options: dict[str, Any] = {
        "records": [str(data / f"{name}.jsonl") for name in names],
        "out": str(out),
        "depth_kind": "z",
        "media_dir": None,
        "exif_rotation": "refuse",
        "points": str(POINTS),
        "seed": seed,
        "focal": FOCAL_PX,
        "label": "distance",
        "prompt": "official",
        "task": None,
        "reference": "marker",
        "size_multiple": 28,
    }
    assert harness.run(argparse.Namespace(**options)) == 0
    return out


@pytest.fixture(scope="module")
def folder(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(data, tmp_path_factory.mktemp("harness") / "tasks", "a", "b")


@pytest.fixture(scope="module")
def samples(data: Path) -> dict[str, list[Sample]]:
    config: dict[str, Any] = {"focal_px": FOCAL_PX, "points_per_record": POINTS}
    return {
        name: list(DepthSamples(data / f"{name}.jsonl", depth_kind="z", **config))
        for name in ("a", "b")
    }


def tasks_of(folder: Path, task_type: str = "chat") -> dict[str, Any]:
    """Return the tasks of the group as lmms-eval loads them, by name."""
    from lmms_eval.tasks import TaskManager, get_task_dict

    manager = TaskManager(include_path=str(folder), include_defaults=False)
    assert manager.all_groups == ["depthlm"]
    [tasks] = get_task_dict(["depthlm"], manager, task_type=task_type).values()
    return dict(tasks)


def test_the_loader_builds_the_core_s_questions(
    folder: Path, samples: dict[str, list[Sample]]
) -> None:
    tasks = tasks_of(folder)
    assert tasks.keys() == {"depthlm_a", "depthlm_b"}
    for name, task in tasks.items():
        task.build_all_requests()
        wanted = samples[name[-1]]
        assert len(task.instances) == len(wanted)
        for instance, sample in zip(task.instances, wanted, strict=True):
            _, to_messages, generation, doc_id, _, split = instance.args
            assert generation["until"] == []  # the official answer has a blank line in it
            [turn] = to_messages(task.dataset[split][doc_id])
            image, text = turn["content"]
            assert text == {"type": "text", "text": sample.turns[0][0]}
            assert np.array_equal(image["url"], sample.image)


def test_models_without_messages_get_the_same(
    folder: Path, samples: dict[str, list[Sample]]
) -> None:
    task = tasks_of(folder, "simple")["depthlm_a"]
    task.build_all_requests()
    for instance, sample in zip(task.instances, samples["a"], strict=True):
        context, _, to_visual, doc_id, _, split = instance.args
        [picture] = to_visual(task.dataset[split][doc_id])
        assert context == sample.turns[0][0]
        assert np.array_equal(picture, sample.image)


def test_its_aggregation_is_the_core_s_score(
    folder: Path, samples: dict[str, list[Sample]]
) -> None:
    task = tasks_of(folder)["depthlm_a"]
    values = np.array([sample.target for sample in samples["a"]]) * np.linspace(0.7, 1.6, 12)
    values = np.round(values, 2)
    texts = [f"<think> hm, 9 </think>\n\n<answer> {value:.2f} </answer>" for value in values]
    texts[3], values[3] = "I cannot tell.", np.nan
    found = [
        task.process_results(doc, [text]) for doc, text in zip(task.test_docs(), texts, strict=True)
    ]
    wanted = score(values, [sample.target for sample in samples["a"]])
    assert 0 < wanted["delta1"] < 1
    reported = task.aggregation().keys() - {lmms.REQUEST_FAILURES}
    assert reported == wanted.keys() - {"n", "constant_m"}
    for name in reported:
        value = task.aggregation()[name]([one[name] for one in found])
        assert value == pytest.approx(wanted[name]), name
    assert task.higher_is_better()["delta1"]
    assert not task.higher_is_better()["abs_rel"]


def test_a_folder_written_anew_is_read_anew(data: Path, tmp_path: Path) -> None:
    points = []
    for seed in (0, 1):
        folder = write(data, tmp_path / "tasks", "a", seed=seed)
        points.append([doc["point"] for doc in tasks_of(folder)["depthlm_a"].test_docs()])
        folder.rename(tmp_path / f"old{seed}")  # the next one has the same name
    assert points[0] != points[1]


class Model(ThreadingHTTPServer):
    """Any served model, on the loopback only: answers by picture, and refuses some questions."""

    def __init__(self, answers: dict[bytes, str | None]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = answers
        self.asked: list[dict[str, Any]] = []


class _Handler(BaseHTTPRequestHandler):
    server: Model

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(body)
        [url] = [part["image_url"]["url"] for part in body["messages"][-1]["content"][:-1]]
        with Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) as image:
            text = self.server.answers[np.asarray(image).tobytes()]
        if text is None:
            self.send_error(500, "out of memory after 3 tries")
            return
        choice = {"index": 0, "finish_reason": "stop"}
        choice |= {"message": {"role": "assistant", "content": text}}
        reply = {"id": "1", "object": "chat.completion", "created": 0, "model": "any"}
        data = json.dumps(reply | {"choices": [choice]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


def evaluate(folder: Path, out: Path, url: str, *options: str) -> dict[str, Any]:
    """Run lmms-eval's command line; return its results.json."""
    model = f"model=any,base_url={url}/v1,api_key=none,max_retries=1,num_concurrent=2"
    command = [sys.executable, "-m", "lmms_eval", "--model", "openai", "--model_args", model]
    command += ["--include_path", str(folder), "--output_path", str(out), "--log_samples"]
    result = run([*command, *options])
    assert result.returncode == 0, result.stderr[-3000:]
    paths = list(out.rglob("*results.json"))
    assert len(paths) == 1, result.stderr[-3000:]  # it ends well after an error, too
    [path] = paths
    results: dict[str, Any] = json.loads(path.read_text())["results"]
    return results


def predictions_of(out: Path, dataset: str) -> list[dict[str, Any]]:
    [path] = out.rglob(f"*_samples_depthlm_{dataset}.jsonl")
    return [row["prediction"] for row in rows(path)]


def test_the_command_line_asks_a_served_model(
    folder: Path, samples: dict[str, list[Sample]], tmp_path: Path
) -> None:
    answers: dict[bytes, str | None] = {}
    wanted: dict[str, list[float]] = {}
    for name, own in samples.items():
        for index, sample in enumerate(own):
            value = round(sample.target * (1.1 if index % 3 else 1.5), 2)
            text = f"<think> About {value} meters. </think>\n\n<answer> {value} </answer>"
            answers[sample.image.tobytes()] = text
            wanted.setdefault(name, []).append(value)
    answers[samples["a"][4].image.tobytes()] = "The picture does not say."
    answers[samples["b"][5].image.tobytes()] = None
    wanted["a"][4] = wanted["b"][5] = np.nan

    with Model(answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        found = evaluate(folder, tmp_path, url, "--tasks", "depthlm")
        server.shutdown()
    assert {(one["temperature"], one["max_tokens"]) for one in server.asked} == {(0, 1024)}
    assert found["depthlm_a"]["delta1_stderr_clustered,none"] != "N/A"  # by picture

    parts = {}
    for name, own in samples.items():
        parts[name] = score(wanted[name], [sample.target for sample in own])
        for metric in lmms.metrics_of("depth"):
            reported = found[f"depthlm_{name}"][f"{metric},none"]
            assert reported == pytest.approx(parts[name][metric]), metric
        logged = predictions_of(tmp_path, name)
        assert score_rows(logged) == pytest.approx(parts[name])
        assert [row["point"] for row in logged] == [sample.question.point for sample in own]
    assert found["depthlm_a"]["request_failure_rate,none"] == 0
    assert found["depthlm_b"]["request_failure_rate,none"] == pytest.approx(1 / 9)
    assert predictions_of(tmp_path, "a")[0]["text"].startswith("<think> About")  # nothing cut out
    for metric, mean in mean_over(RATIO, list(parts.values())).items():
        if metric != "n":
            assert found["depthlm"][f"{metric},none"] == pytest.approx(mean), metric


def test_answers_of_llamafactory_s_server_are_read_by_the_core(
    folder: Path, llamafactory_url: str, tmp_path: Path
) -> None:
    options = ["--tasks", "depthlm_b", "--gen_kwargs", "max_new_tokens=24"]
    found = evaluate(folder, tmp_path, llamafactory_url, *options)["depthlm_b"]
    logged = predictions_of(tmp_path, "b")
    assert len(logged) == 9
    assert all(row["text"] for row in logged)
    assert found["request_failure_rate,none"] == 0
    unread = [row["reason"] for row in logged if row["value"] is None]
    assert unread  # random weights say no metres
    assert found["parse_failure_rate,none"] == pytest.approx(len(unread) / 9)
    assert found["delta1,none"] == pytest.approx(score_rows(logged)["delta1"])
