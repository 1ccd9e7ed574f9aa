"""What the model receives from LLaMA-Factory's real loader and collator: pixels, tokens, labels."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.host_tools import SMALL
from support.loaded import TEMPLATES, Loaded

from depthlm_plugin import DepthSamples, View
from depthlm_plugin.errors import ConfigError, DepthLMError, RecordError
from depthlm_plugin.sampling.sample import Question

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def load(models, data: Path, tmp_path: Path):
    def load(family: str = "qwen", data_dir: Path = data, **extra: Any) -> Loaded:
        return Loaded(models[family], data_dir, tmp_path / "out", TEMPLATES[family], **extra)

    return load


def pixels_seen(family: str, batch: Any, index: int, processor: Any) -> np.ndarray:
    """Undo normalisation and patching: the RGB image (H, W, 3) that reaches the vision tower."""
    ip = processor.image_processor
    if family == "pixtral":
        height, width = batch["image_sizes"][index]
        image = batch["pixel_values"][index][:, :height, :width].numpy()
    else:
        grids = batch["image_grid_thw"]
        start = int(grids[:index].prod(dim=1).sum())
        _, rows, columns = map(int, grids[index])
        patch, merge = ip.patch_size, ip.merge_size
        patches = batch["pixel_values"][start : start + rows * columns].numpy()
        blocks = patches.reshape(
            rows // merge, columns // merge, merge, merge, 3, ip.temporal_patch_size, patch, patch
        )[:, :, :, :, :, 0]
        image = blocks.transpose(4, 0, 2, 5, 1, 3, 6).reshape(3, rows * patch, columns * patch)
    mean, std = (np.array(v).reshape(3, 1, 1) for v in (ip.image_mean, ip.image_std))
    return ((image * std + mean) * 255).transpose(1, 2, 0)


@pytest.mark.parametrize("family", ["qwen", "pixtral"])
def test_pixels_reach_the_vision_tower_as_rendered(load, family: str) -> None:
    loaded = load(family)
    batch = loaded.batch("train_dataset", 0, 7)
    for index, row in enumerate((0, 7)):
        view = View.from_uri(loaded.uris()[row])
        seen = pixels_seen(family, batch, index, loaded.processor)
        np.testing.assert_allclose(seen, np.asarray(view.render()), atol=0.01)
        assert view.camera.fx == view.camera.fy == SMALL["focal_px"]


@pytest.mark.parametrize("family", ["qwen", "pixtral"])
def test_loss_is_on_the_answer_only(load, family: str) -> None:
    loaded = load(family)
    labels = loaded.batch("train_dataset", 3)["labels"][0].numpy()
    text = loaded.tokenizer.decode(labels[labels != -100], skip_special_tokens=True)
    metres = f"{Question.from_uri(loaded.uris()[3]).target:.2f}"
    assert text.strip() == (
        f"<think> The point is around {metres} meters away from the camera. </think>\n\n"
        f"<answer> {metres} </answer>"
    )


def test_one_file_differs_between_training_and_evaluation(load) -> None:
    loaded = load(eval_dataset="ibims1")
    train = [View.from_uri(uri) for uri in loaded.uris()]
    evaluation = [View.from_uri(uri) for uri in loaded.uris("eval_dataset")]
    assert len({view.size_wh for view in train}) > 5  # seeded crops
    for view in evaluation:  # whole images, trimmed to the patch grid
        width, height = view.source.size_wh
        full = width * 300 / view.source.fx, height * 300 / view.source.fy
        assert view.size_wh == tuple(int(length // 28) * 28 for length in full)


def test_samples_are_those_of_the_plain_python_dataset(load, data: Path) -> None:
    samples = DepthSamples(data / "ibims1.jsonl", train=True, depth_kind="z", **SMALL)
    assert [sample.to_uris()[0] for sample in samples] == load().uris()


def test_workers_change_nothing(load) -> None:
    alone, together = load(), load(preprocessing_num_workers=2)
    assert alone.uris() == together.uris()
    assert list(alone.module["train_dataset"]["input_ids"]) == list(
        together.module["train_dataset"]["input_ids"]
    )


def test_several_points_and_oversampling_draw_different_samples(load, data: Path, tmp_path) -> None:
    info = json.loads((data / "dataset_info.json").read_text())
    info["a"]["depthlm"]["points_per_record"] = 3
    info["b"]["num_samples"] = 7  # of 3 records
    folder = tmp_path / "more"
    folder.mkdir()
    for name in ("rgb", "a.jsonl", "b.jsonl"):
        (folder / name).symlink_to(data / name)
    (folder / "dataset_info.json").write_text(json.dumps(info))
    uris = load(data_dir=folder, dataset="a,b").uris()
    questions = [Question.from_uri(uri) for uri in uris]
    assert [q.dataset for q in questions] == ["a"] * 12 + ["b"] * 7
    assert len({(q.row, q.point) for q in questions if q.dataset == "a"}) == 12
    assert len(set(uris)) == len(uris)


def test_config_comes_from_the_adapter_unless_told_otherwise(load, tmp_path: Path) -> None:
    from depthlm_plugin.config.block import DepthLMConfig
    from depthlm_plugin.config.saved import save_config

    adapter = tmp_path / "adapter"
    adapter.mkdir()
    save_config(DepthLMConfig(focal_px=280, prompt="plain", crop_height=(84, 84)), adapter)
    evaluation = {
        "adapter_name_or_path": str(adapter),
        "dataset": None,
        "eval_dataset": "a",
        "do_train": False,
        "do_eval": True,
    }
    taught = load(**evaluation, depthlm=None).module["depthlm"].config
    assert (taught.focal_px, taught.prompt) == (280, "plain")
    assert taught.crop_height == DepthLMConfig().crop_height  # how it was trained, not what it sees
    told = load(**evaluation, depthlm={"focal_px": 300}).module["depthlm"].config
    assert (told.focal_px, told.prompt) == (300, "plain")


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"image_max_pixels": 20_000}, "set image_max_pixels: 54880"),
        ({"image_min_pixels": 400_000}, "set image_min_pixels: "),
        ({"cutoff_len": 128}, "set cutoff_len: "),
        ({"val_size": 0.2}, "val_size"),
        ({"stage": "rm"}, "stage: rm cannot use depth data"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_settings_that_would_change_a_metre_are_refused(load, extra, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(**extra)


def test_pixtral_refuses_more_than_its_longest_edge(load) -> None:
    wide = {"focal_px": 1000, "crop_height": [200, 200], "crop_width": [1100, 1100]}
    with pytest.raises(ConfigError, match="longer than the 1024 px that PixtralImageProcessor"):
        load("pixtral", depthlm=wide)


def test_resume_with_another_block_is_refused(load, tmp_path: Path) -> None:
    from depthlm_plugin.config.block import DepthLMConfig
    from depthlm_plugin.config.saved import save_config

    checkpoint = tmp_path / "checkpoint-3"
    checkpoint.mkdir()
    save_config(DepthLMConfig.from_block(SMALL | {"seed": 5}), checkpoint)
    with pytest.raises(ConfigError, match="seed: 5 -> 0"):
        load(resume_from_checkpoint=str(checkpoint))


@pytest.fixture
def broken_data(data: Path, tmp_path: Path) -> Path:
    """Rows: fine, truncated image, missing image, not JSON, a depth of zero among good ones."""
    folder = tmp_path / "broken"
    (folder / "rgb").mkdir(parents=True)
    lines = (data / "ibims1.jsonl").read_text().splitlines()[:5]
    records = [json.loads(line) for line in lines]
    for number, record in enumerate(records):
        image = (data / record["image"]).read_bytes()
        if number == 1:
            image = image[:100_000]
        if number != 2:
            (folder / record["image"]).write_bytes(image)
    records[4]["depth"][3] = 0
    texts = [json.dumps(record) for record in records]
    texts[3] = texts[3][:200]
    (folder / "broken.jsonl").write_text("\n".join(texts) + "\n")
    entry = {"file_name": "broken.jsonl", "formatting": "depthlm", "depthlm": {"depth_kind": "z"}}
    (folder / "dataset_info.json").write_text(json.dumps({"broken": entry}))
    return folder


def test_a_bad_record_stops_the_run_with_its_line(load, broken_data: Path) -> None:
    with pytest.raises(RecordError, match=r"broken\.jsonl:3: image .* is in none of"):
        load(data_dir=broken_data, dataset="broken")


@pytest.mark.parametrize(
    ("file", "message"),
    [("empty.jsonl", "empty.jsonl holds no record"), ("gone.jsonl", "gone.jsonl does not exist")],
    ids=["empty", "missing"],
)
def test_a_file_without_records_is_named(load, broken_data: Path, file: str, message: str) -> None:
    (broken_data / "empty.jsonl").write_text("\n")
    entry = {"file_name": file, "formatting": "depthlm"}
    (broken_data / "dataset_info.json").write_text(json.dumps({"none": entry}))
    with pytest.raises(DepthLMError, match=message):
        load(data_dir=broken_data, dataset="none")


def test_a_truncated_image_stops_the_run_with_its_line(load, broken_data: Path) -> None:
    loaded = load(data_dir=broken_data, dataset="broken", max_samples=2)
    loaded.batch("train_dataset", 0)
    with pytest.raises(RecordError, match=r"dataset broken, broken\.jsonl:2: .* cannot be decoded"):
        loaded.batch("train_dataset", 1)


@pytest.mark.parametrize("workers", [None, 2])
def test_skipped_records_are_counted_and_reported(load, broken_data, workers) -> None:
    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())
    logging.getLogger("llamafactory.depthlm").addHandler(handler)
    block = SMALL | {"on_error": "skip"}
    loaded = load(
        data_dir=broken_data,
        dataset="broken",
        depthlm=block,
        preprocessing_num_workers=workers,
        overwrite_cache=True,
    )
    assert [Question.from_uri(uri).row for uri in loaded.uris()] == [0, 4]
    report = "\n".join(said)
    assert "broken: 5 records, 2 samples" in report
    for reason in ("unreadable image", "missing image", "malformed record", "bad depth"):
        assert f"1  {reason}" in report
