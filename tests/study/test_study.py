"""The study's arms, its pictures and its arithmetic; the runs themselves are hours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from depthlm_plugin import Camera, DepthSamples
from depthlm_plugin.errors import DepthLMError
from depthlm_plugin.scenes.view import Rig
from depthlm_plugin.scenes.write import Wanted, write_scenes

from . import data, real
from .arms import Arm, arms, content, evaluation, training, with_bases
from .page import scores_of, write_page
from .runs import ANSWERS, Study, run_all

RIG = Rig(field_deg=(60.0, 75.0), height_m=(1.2, 1.3), pitch_deg=(-15.0, -9.0))
MOST_TOKENS = 40  # of the words of a question: longer ones are not made of the study's phrases


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a dozen rooms, and the windows cut from them."""
    out = tmp_path_factory.mktemp("study")
    write_scenes(out / "raw", Wanted("indoor", 12, size_px=data.WIDTH_PX, points=30, rig=RIG))
    return out


def windows(out: Path) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    return list(data._windows(out, out / "raw" / "indoor_0_0", "indoor"))


def test_groups_are_of_arms_and_arms_of_groups() -> None:
    shown = {name for group in content()["groups"].values() for name in group["arms"]}
    assert shown == arms().keys()
    names = list(arms())
    for arm in arms().values():
        assert arm.after is None or names.index(arm.after) < names.index(arm.name)
        assert arm.steps or arm.after


def test_an_arm_brings_what_it_goes_on_from() -> None:
    assert [arm.name for arm in with_bases(["keeps", "real_lora"])] == [
        "marker", "ordinary", "keeps", "real_lora",
    ]  # fmt: skip


@pytest.mark.parametrize("arm", arms().values(), ids=lambda arm: arm.name)
def test_an_arm_is_the_base_but_for_what_it_says(arm: Arm) -> None:
    model, folder = Path("model"), Path("data")
    base = training(Arm("base", "", {}), model, folder, seed=1, steps=1000)
    recipe = training(arm, model, folder, seed=1, steps=1000)
    assert recipe["max_steps"] == round(1000 * arm.steps)
    changed = {key for key in recipe.keys() | base.keys() if recipe.get(key) != base.get(key)}
    ways = {"streaming", "buffer_size", "dataloader_num_workers", "accelerator_config", "depthlm"}
    plain = ways | {"dataset"} if arm.plain or arm.ordinary else set()
    assert changed <= arm.changes.keys() | plain | {"max_steps"}
    asked = evaluation(arm, model, None, folder, ("known",))
    block = content()["recipe"]["depthlm"] | arm.changes.get("depthlm", {})
    assert "seed" not in block  # every seed is asked the same, in one order
    assert asked["depthlm"] == block | {"points_per_record": "all", "questions_per_image": 1}


@pytest.mark.parametrize(
    "arm", [arm for arm in arms().values() if not (arm.plain or arm.ordinary)],
    ids=lambda arm: arm.name,
)  # fmt: skip
def test_questions_are_made_of_the_phrases(arm: Arm, rooms: Path) -> None:
    from depthlm_plugin.demo.tiny_vlm import build_tokenizer

    tokenizer = build_tokenizer(content()["words"])
    records = [window for window, _ in windows(rooms)]
    block = training(arm, rooms, rooms, seed=0, steps=1)["depthlm"]
    samples = DepthSamples(records, media_dir=rooms, train=True, **block | {"on_error": "skip"})
    turns = [turn for sample in samples for turn in sample.turns]
    assert turns
    assert max(len(tokenizer(asked)["input_ids"]) for asked, _ in turns) <= MOST_TOKENS


def test_windows_show_the_same_rays_as_the_pictures(rooms: Path) -> None:
    pairs = windows(rooms)
    assert len(pairs) > 3
    lines = (rooms / "raw/indoor_0_0/records.jsonl").read_text().splitlines()
    whole = {record["scene"]: record for record in map(json.loads, lines)}
    for window, native in pairs:
        record = whole[window["scene"]]
        rays = rays_of(record)
        there = {round(depth, 6): ray for depth, ray in zip(record["depth"], rays, strict=True)}
        for depth, ray in zip(window["depth"], rays_of(window), strict=True):
            assert np.allclose(ray, there[round(depth, 6)], atol=1e-9)
        camera = native | {"intrinsics": [*native["true_intrinsics"], *native["intrinsics"][2:]]}
        for depth, ray in zip(native["depth"], rays_of(camera), strict=True):
            # Its corner is a whole pixel of the picture: it moves by half of one at most.
            assert np.allclose(ray, there[round(depth, 6)], atol=0.02)


def rays_of(record: dict[str, Any]) -> Any:
    camera = Camera.from_intrinsics(record["intrinsics"])
    pixels = np.array(record["pixel_coords"], float)
    return camera.unproject(pixels, np.ones(len(pixels)))


def test_photographs_of_one_kind_of_place_are_in_one_half(ibims: Path, tmp_path: Path) -> None:
    records = real._records(ibims / "ibims1_dev.jsonl")
    kinds = [real._kind(record) for record in records]
    mine = real._half(real.Counter(kinds))
    assert sum(kind in mine for kind in kinds) == len(kinds) // 2
    (tmp_path / "window").mkdir()
    for padded, record in zip(
        real._padded(tmp_path, ibims, "ibims", records), records, strict=True
    ):
        labels = np.column_stack([rays_of(record)[:, :2], record["depth"]])
        shown = np.column_stack([rays_of(padded)[:, :2], padded["depth"]])
        gaps = np.abs(shown[:, None] - labels).max(axis=2)
        assert gaps.min(axis=1).max() < 1e-9


def test_the_page_counts_what_was_answered(tmp_path: Path) -> None:
    study = Study(tmp_path / "out", 10, {})
    truth = [1.0, 2.0, 3.0, 4.0]
    for name, seed, said in (
        ("marker", 0, [1.0, 2.0, 3.0, 9.0]),
        ("marker", 1, [1.2, 1.7, None, 9.0]),
        ("text", 0, [9.0, 9.0, 3.0, 4.9]),
    ):
        answers = {
            "known/depth": [
                [t, a, k // 2] for k, (t, a) in enumerate(zip(truth, said, strict=True))
            ]
        }
        folder = study.folder(name, seed)
        folder.mkdir(parents=True)
        (folder / ANSWERS).write_text(json.dumps({"minutes": 1.5, "answers": answers}))
    scores = scores_of(study, 2)
    marker, text = (scores[name]["sets"]["known"] for name in ("marker", "text"))
    assert marker["by_seed"] == [0.75, 0.5]
    assert marker["delta1"] == 0.625
    assert text["more_than"]["marker"]["delta1"] == pytest.approx(0.5 - 0.75)  # of seed 0 alone
    assert marker["constant"] == 0.5  # 2.5 is right of 2 and 3, or 3.5 of 3 and 4
    write_page(study, 2, tmp_path)
    assert "| mark | known | 0.625" in (tmp_path / "README.md").read_text()
    assert (tmp_path / "results.png").stat().st_size > 1000


def test_an_arm_that_has_changed_is_not_taken_from_its_old_run(tmp_path: Path) -> None:
    study = Study(tmp_path, 10, {"hidden_size": 64, "layers": 2})
    arm = arms()["eighth"]
    folder = study.folder(arm.name, 0)
    folder.mkdir(parents=True)
    (folder / ANSWERS).write_text("{}")
    (folder / "train.yaml").write_text("max_steps: 7\n")
    with pytest.raises(DepthLMError, match="is not what eighth is now"):
        run_all(study, 1, 1, [arm.name])
    assert (folder / ANSWERS).read_text() == "{}"


@pytest.mark.slow
def test_runs_are_trained_asked_and_resumed(tmp_path: Path) -> None:
    data.write_data(tmp_path / "data", 100, 24, labels=30)
    study = Study(tmp_path, 4, {"hidden_size": 64, "layers": 2})
    only = ["eighth", "pixels"]  # neither goes on from another
    run_all(study, 1, 2, only)
    written = {path: path.stat().st_mtime_ns for path in tmp_path.rglob(ANSWERS)}
    assert len(written) == len(only)
    run_all(study, 1, 2, only)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob(ANSWERS)} == written
    found = scores_of(study, 1)
    assert found["eighth"]["sets"].keys() == {"known", "unseen", "warehouse"}
    assert found["pixels"]["sets"].keys() == {"known", "unseen"}
    assert found["pixels"]["sets"]["known"]["n"] == found["eighth"]["sets"]["known"]["n"]
