"""Pictures labelled by experts: tiny random models of the real classes, by their own outputs."""

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.curate_checks import curate, read_records
from support.raw.expert import (
    FOV_DEG,
    MODEL,
    ROOM,
    depth_pro,
    save_expert,
    write_pictures,
    zoedepth,
)

from depthlm_plugin.curate.datasets.expert import ExpertLabels
from depthlm_plugin.curate.pipeline.curation import Settings
from depthlm_plugin.curate.pipeline.curation import curate as run_curation
from depthlm_plugin.curate.pipeline.labelling import Job
from depthlm_plugin.curate.pipeline.output import Output
from depthlm_plugin.curate.registry import make_reader
from depthlm_plugin.errors import ConfigError, RecordError

SIZE_HW = (ROOM.height, ROOM.width)
TWO_ROOMS = [
    {"name": "nyu", "n_bins": 8, "min_depth": 0.001, "max_depth": 10.0},
    {"name": "kitti", "n_bins": 8, "min_depth": 0.001, "max_depth": 80.0},
]


@pytest.fixture(scope="module")
def experts(tmp_path_factory):
    """Folders of one model of each kind, by name; written and loaded by transformers."""
    folder = tmp_path_factory.mktemp("experts")
    save_expert(folder / "depth_anything")
    save_expert(folder / "depth_anything_far", far=True)
    save_expert(folder / "depth_pro_far", depth_pro, far=True)
    save_expert(folder / "zoedepth", zoedepth)
    two = {"bin_configurations": TWO_ROOMS, "patch_transformer_hidden_size": 128}
    save_expert(folder / "zoedepth_two", zoedepth, **two)  # 128: of its class, whatever the config
    save_expert(folder / "depth_pro", depth_pro)
    save_expert(folder / "depth_pro_blind", depth_pro, use_fov_model=False)
    return folder


def outputs_of(folder, path):
    """Return the processor and the outputs of a model for a picture, by transformers alone."""
    import torch
    from transformers import AutoImageProcessor, AutoModelForDepthEstimation

    processor = AutoImageProcessor.from_pretrained(folder)
    model = AutoModelForDepthEstimation.from_pretrained(folder, dtype=torch.float32).eval()
    with Image.open(path) as image, torch.inference_mode():
        return processor, model(**processor(images=image.convert("RGB"), return_tensors="pt"))


def distances(z, record):
    """Return the distances that a z map (H, W) has at a record's pixels, by its intrinsics."""
    fx, fy, cx, cy, *_ = record["intrinsics"]
    u, v = np.array(record["pixel_coords"]).T
    return z[v, u] * np.sqrt(1 + ((u - cx) / fx) ** 2 + ((v - cy) / fy) ** 2)


def labelled(capsys, tmp_path, model, *options, cameras=True, status=0):
    """Return the records of the room's pictures, the card and what was said."""
    raw, out = tmp_path / "raw", tmp_path / "out"
    write_pictures(raw, cameras=cameras)
    options = ["--option", f"model={model}", *options]
    _, said = curate(capsys, "expert", raw, out, *options, status=status)
    if not (out / "expert.jsonl").exists():
        return [], "", said
    return read_records(out / "expert.jsonl"), (out / "expert/README.md").read_text(), said


def assert_labels(records, tmp_path, z_of):
    """Labels are the distances of a z map that `z_of` works out of each picture."""
    assert len(records) == 4
    for record in records:
        z = z_of(tmp_path / "raw" / f"{record['id']}.png", record)
        expected = distances(z, record)
        np.testing.assert_allclose(record["depth"], expected, rtol=1e-5)
        assert np.ptp(z) > 0.02 * z.mean()  # or any pixel's depth would do
        assert record["depth_kind"] == "distance"


@pytest.mark.slow
def test_depth_anything_as_its_own_processor_gives_it(experts, capsys, tmp_path):
    folder = experts / "depth_anything"
    records, card, _ = labelled(capsys, tmp_path, folder)

    def z_of(path, record):
        processor, outputs = outputs_of(folder, path)
        [found] = processor.post_process_depth_estimation(outputs, target_sizes=[SIZE_HW])
        return found["predicted_depth"].double().numpy()

    assert_labels(records, tmp_path, z_of)
    [teacher] = {json.dumps(record["teacher"]) for record in records}
    teacher = json.loads(teacher)
    assert teacher["model"] == "depth_anything"
    assert teacher["version"].startswith("sha256:")
    assert teacher["focal"] == "not used by the expert"
    assert "max_depth * sigmoid" in teacher["metric"]
    assert "intrinsics_source" not in records[0]
    assert f"| labelled by depth_anything, {teacher['version']} | 4 |" in card
    assert "away from depth edges" in card
    assert str(tmp_path) not in card + json.dumps(records)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["zoedepth", "zoedepth_two"])
def test_zoedepth_where_its_processor_took_pixels_from(experts, capsys, tmp_path, name):
    from torch import as_tensor
    from torch.nn.functional import grid_sample

    folder = experts / name
    records, _, _ = labelled(capsys, tmp_path, folder)

    def z_of(path, record):
        _, outputs = outputs_of(folder, path)
        height, width = SIZE_HW
        pad_x, pad_y = (int(np.sqrt(side / 2) * 3) for side in (width, height))
        x = 2 * (np.arange(width) + pad_x) / (width + 2 * pad_x - 1) - 1
        y = 2 * (np.arange(height) + pad_y) / (height + 2 * pad_y - 1) - 1
        grid = as_tensor(np.stack(np.meshgrid(x, y), -1)[None], dtype=outputs.predicted_depth.dtype)
        z = grid_sample(outputs.predicted_depth[:, None], grid, "bicubic", align_corners=True)
        return z[0, 0].double().numpy()

    assert_labels(records, tmp_path, z_of)


def canonical(folder, path):
    """Return Depth Pro's canonical inverse depth at the picture's pixels (H, W)."""
    from torch.nn.functional import interpolate

    _, outputs = outputs_of(folder, path)
    inverse = interpolate(outputs.predicted_depth[:, None], SIZE_HW, mode="bilinear")
    return inverse[0, 0].double().numpy()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["depth_pro", "depth_pro_blind"])
def test_depth_pro_takes_a_known_focal_length(experts, capsys, tmp_path, name):
    folder = experts / name
    records, _, _ = labelled(capsys, tmp_path, folder)
    assert_labels(
        records, tmp_path, lambda path, _: ROOM.fx / (ROOM.width * canonical(folder, path))
    )
    assert {record["teacher"]["focal"] for record in records} == {"given (file)"}
    assert "intrinsics_source" not in records[0]


@pytest.mark.slow
def test_depth_pro_predicts_an_unknown_focal_length(experts, capsys, tmp_path):
    folder = experts / "depth_pro"
    records, card, _ = labelled(capsys, tmp_path, folder, cameras=False)
    focal_px = ROOM.width / (2 * math.tan(math.radians(FOV_DEG) / 2))
    assert_labels(
        records, tmp_path, lambda path, _: focal_px / (ROOM.width * canonical(folder, path))
    )
    for record in records:
        middle = (ROOM.width - 1) / 2, (ROOM.height - 1) / 2
        expected = [focal_px, focal_px, *middle, ROOM.width, ROOM.height]
        np.testing.assert_allclose(record["intrinsics"], expected, rtol=1e-6)
        assert record["intrinsics_source"] == "predicted"
    assert "| focal length: predicted by the expert | 4 |" in card


@pytest.mark.slow
@pytest.mark.parametrize("name", ["depth_anything", "zoedepth", "depth_pro_blind"])
def test_unknown_cameras_are_not_made_up(experts, capsys, tmp_path, name):
    records, _, said = labelled(capsys, tmp_path, experts / name, cameras=False, status=1)
    assert records == []
    assert "4 no intrinsics" in said
    assert "--option fov=60" in said


@pytest.mark.slow
def test_a_stated_field_of_view_is_marked(experts, capsys, tmp_path):
    options = ["--option", "fov=90"]
    records, _, _ = labelled(capsys, tmp_path, experts / "depth_pro", *options, cameras=False)
    assert records[0]["intrinsics"][0] == pytest.approx(ROOM.width / 2)
    assert records[0]["intrinsics_source"] == "assumed"
    assert records[0]["teacher"]["focal"] == "given (fov_deg)"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "farthest_m"), [("depth_anything_far", 9.9), ("depth_pro_far", 990)]
)
def test_what_is_at_the_farthest_depth_is_left_out_and_counted(
    experts, capsys, tmp_path, name, farthest_m
):
    options = ["--sampling", "uniform", "--points", str(ROOM.width * ROOM.height)]
    options += ["--unusual", "depth"]  # a kilometre in the median
    records, card, _ = labelled(capsys, tmp_path, experts / name, *options)
    dropped = 0
    for record in records:
        path = tmp_path / "raw" / f"{record['id']}.png"
        if name == "depth_pro_far":
            z = ROOM.fx / (ROOM.width * canonical(experts / name, path))
        else:
            processor, outputs = outputs_of(experts / name, path)
            [found] = processor.post_process_depth_estimation(outputs, target_sizes=[SIZE_HW])
            z = found["predicted_depth"].numpy()
        far = z >= farthest_m
        u, v = np.array(record["pixel_coords"]).T
        assert not far[v, u].any()
        assert len(record["depth"]) == (~far & (z >= 0.001)).sum()  # bicubic curves overshoot
        dropped += int(far.sum())
    assert dropped > 100
    assert f"| points left out: at the expert's farthest depth | {dropped} |" in card


@pytest.mark.slow
@pytest.mark.parametrize("name", ["depth_anything", "zoedepth", "depth_pro"])
def test_depth_maps_lie_on_their_pictures(experts, name):
    """A model that saw the x of every pixel, or the y, gives it back where it was."""
    from types import SimpleNamespace

    from transformers import AutoImageProcessor

    from depthlm_plugin.curate.expert.rules import RULES

    size_wh = width, height = 600, 450
    processor = AutoImageProcessor.from_pretrained(experts / name)
    low, high = 64, 192  # of 8 bits, in steps that a row has many of
    for axis, side in enumerate(size_wh):
        ramp = np.linspace(low, high, side)
        grey = np.round(np.broadcast_to(ramp if axis == 0 else ramp[:, None], (height, width)))
        image = Image.fromarray(np.repeat(grey[..., None], 3, 2).astype(np.uint8))
        [seen] = processor(images=image, return_tensors="pt")["pixel_values"]
        depth = (seen[0] * processor.image_std[0] + processor.image_mean[0]) * 255
        if name == "depth_pro":
            depth = depth / 100  # of 1 to 2, as inverse depths in metres are
        outputs = SimpleNamespace(predicted_depth=depth[None], domain_logits=None)
        config = SimpleNamespace(max_depth=1, bin_configurations=[{"max_depth": 1}])
        found = RULES[name].read(outputs, processor, config, size_wh, float(width)).depth_m
        if name == "depth_pro":
            found = 100 / found
        inner = (slice(30, -30), slice(30, -30))  # the picture's border is enlarged flat
        error_px = (found - ramp.reshape((1, -1) if axis == 0 else (-1, 1))) * side / (high - low)
        rough = error_px[inner].mean(axis=1 - axis)
        # The mean over a quarter at either end, where corners kept in place would shift by pixels.
        for end in (rough[: len(rough) // 4], rough[-len(rough) // 4 :]):
            assert abs(end.mean()) < 0.35, (name, axis)


@pytest.mark.slow
def test_workers_change_no_byte(experts, capsys, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    model = experts / "depth_anything"
    for place, workers in ((one, 1), (two, 2)):
        write_pictures(place / "raw")
        options = ["--option", f"model={model}", "--workers", workers]
        curate(capsys, "expert", place / "raw", place / "out", *options)
    assert files_of(one / "out") == files_of(two / "out")


def files_of(out):
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and "raw" not in path.relative_to(out).parts
    }


@dataclass(frozen=True)
class _Interrupted(ExpertLabels):
    """The reader, which ends at the third picture."""

    def load(self, item):
        if item.frame_id == "rgb/2":
            raise ConfigError("interrupted")
        return super().load(item)


@pytest.mark.slow
def test_goes_on_to_the_same_bytes_unless_the_model_has_changed(experts, tmp_path):
    raw = tmp_path / "raw"
    write_pictures(raw)
    save_expert(raw / MODEL)
    settings = Settings(chunk_frames=1)

    def go(reader, out):
        output = Output(out, "expert")
        job = Job(reader, "expert", "expert", output.folder, 50, 0, "edges")
        return run_curation(job, output, None, settings)

    reader = ExpertLabels(raw, model=MODEL)
    go(reader, tmp_path / "whole")
    for out in ("resumed", "changed"):
        with pytest.raises(ConfigError, match="interrupted"):
            go(_Interrupted(raw, model=MODEL), tmp_path / out)
    assert go(reader, tmp_path / "resumed")["records"] == 4
    assert files_of(tmp_path / "resumed") == files_of(tmp_path / "whole")
    save_expert(raw / MODEL, seed=1)
    for out in ("changed", "whole"):
        with pytest.raises(ConfigError, match=r'another configuration .inputs: {"model": "sha256:'):
            go(ExpertLabels(raw, model=MODEL), tmp_path / out)


@pytest.mark.slow
def test_damaged_models_end_the_curation(experts, tmp_path):
    import shutil

    raw = tmp_path / "raw"
    write_pictures(raw)
    for number, (name, text) in enumerate(
        [
            ("model.safetensors", "no weights"),
            ("config.json", json.dumps(METRIC | {"neck_hidden_sizes": "many"})),
            ("preprocessor_config.json", "[]"),
            ("preprocessor_config.json", "{"),
        ]
    ):
        shutil.copytree(experts / "depth_anything", raw / f"{number}")
        (raw / f"{number}" / name).write_text(text)
        reader = make_reader("expert", raw, options={"model": f"{number}"})
        with pytest.raises(ConfigError, match=rf"the expert of .*/raw/{number} cannot be loaded"):
            reader.load(next(iter(reader.items())))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size_wh", "status"),
    [("zoedepth", (6, 4), 1), ("depth_anything", (900, 2), 1), ("depth_pro", (900, 2), 0)],
)
def test_a_picture_that_an_expert_cannot_take_is_counted(
    experts, capsys, tmp_path, name, size_wh, status
):
    raw = tmp_path / "raw"
    write_pictures(raw)
    Image.new("RGB", size_wh).save(raw / "rgb" / "odd.png")
    options = ["--option", f"model={experts / name}", "--option", "fov=60"]
    _, said = curate(
        capsys, "expert", raw, tmp_path / "out", *options, "--unusual", "camera", status=status
    )
    assert len(read_records(tmp_path / "out" / "expert.jsonl")) == 5 - status
    assert ("1  not for the expert" in said) == bool(status)


@pytest.mark.slow
def test_weights_that_lack_a_tensor_are_refused(experts, tmp_path):
    import shutil

    from safetensors.numpy import load_file, save_file

    raw = tmp_path / "raw"
    write_pictures(raw)
    shutil.copytree(experts / "depth_anything", raw / MODEL)
    weights = load_file(raw / MODEL / "model.safetensors")
    del weights["head.conv3.weight"]
    save_file(weights, raw / MODEL / "model.safetensors", {"format": "pt"})
    reader = make_reader("expert", raw, options={"model": MODEL})
    with pytest.raises(ConfigError, match=r"lack 1 tensors of the model, as head\.conv3\.weight"):
        reader.load(next(iter(reader.items())))


def reader_of(tmp_path, config, **changes):
    """Return a reader of one picture and a model of which only a config.json matters."""
    model = tmp_path / MODEL
    model.mkdir(parents=True)
    (tmp_path / "a.png").write_bytes(b"")
    (model / "config.json").write_text(json.dumps(config))
    (model / "preprocessor_config.json").write_text("{}")
    (model / "model.safetensors").write_bytes(b"")
    return replace(ExpertLabels(tmp_path, model=MODEL), **changes)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"model_type": "depth_anything"}, "relative: inverse depth of unknown scale"),
        ({"model_type": "depth_anything", "depth_estimation_type": "relative"}, "relative"),
        (
            {"model_type": "depth_anything", "depth_estimation_type": "metric"},
            "lacks the max_depth",
        ),
        ({"model_type": "dpt"}, "unknown scale and shift"),
        ({"model_type": "glpn", "max_depth": 10}, "a share of max_depth"),
        ({"model_type": "chmv2"}, "heights of canopies"),
        ({"model_type": "prompt_depth_anything"}, "a depth sensor's map"),
        ({"model_type": "bert"}, "there is no rule"),
        ({}, "there is no rule"),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_models_that_give_no_metres_are_refused(tmp_path, config, reason):
    with pytest.raises(ConfigError, match=reason):
        list(reader_of(tmp_path, config).items())


METRIC = {"model_type": "depth_anything", "depth_estimation_type": "metric", "max_depth": 20}


@pytest.mark.parametrize(
    "name",
    [
        *("model.safetensors", "preprocessor_config.json", "config.json"),
        *("processor_config.json", "model-2.safetensors"),  # a nested processor, a shard
    ],
)
def test_the_version_of_a_model_is_that_of_all_its_files(tmp_path, name):
    reader = reader_of(tmp_path, METRIC)
    before = reader.inputs()
    with (tmp_path / MODEL / name).open("ab") as file:
        file.write(b" ")
    assert replace(reader).inputs() != before


def test_models_that_are_not_there_are_said(tmp_path, monkeypatch):
    reader = reader_of(tmp_path / "raw", METRIC)
    with pytest.raises(ConfigError, match="give --option model="):
        list(replace(reader, model=None).items())
    with pytest.raises(ConfigError, match="neither a folder nor the name"):
        list(replace(reader, model="/no/where").items())
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    with pytest.raises(ConfigError, match="by its absolute path"):
        list(replace(reader, model="mine").items())
    (tmp_path / "raw" / MODEL / "preprocessor_config.json").unlink()
    with pytest.raises(ConfigError, match=r"lacks preprocessor_config\.json"):
        list(reader.items())


def test_distorted_pictures_are_left_out(tmp_path):
    reader = reader_of(tmp_path, METRIC)
    Image.new("RGB", (64, 48)).save(tmp_path / "a.png")
    lens = {"model": "opencv", "coefficients": [0.1, 0, 0, 0]}
    entry = {"fx": 60, "fy": 60, "cx": 31.5, "cy": 23.5, "distortion": lens}
    Path(tmp_path, "cameras.json").write_text(json.dumps({"*": entry}))
    [item] = reader.items()
    with pytest.raises(RecordError, match="undistort them first"):
        reader.load(item)
