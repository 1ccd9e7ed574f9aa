"""Pictures labelled by a model that was trained here: its answers, as distances, with intervals."""

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest
from support.curate_checks import curate, read_records
from support.raw.expert import ROOM, write_pictures
from support.raw.teacher import ELSE_M, MODEL, SAID_M, save_teacher, write_teacher
from support.rehearsed import Saying

from depthlm_plugin import Camera, Predictor
from depthlm_plugin.cameras.source import FoundCamera
from depthlm_plugin.config.block import DepthLMConfig
from depthlm_plugin.config.saved import save_config
from depthlm_plugin.curate.datasets.teacher import TeacherLabels
from depthlm_plugin.curate.pipeline.curation import Settings
from depthlm_plugin.curate.pipeline.curation import curate as run_curation
from depthlm_plugin.curate.pipeline.labelling import Job
from depthlm_plugin.curate.pipeline.output import Output
from depthlm_plugin.curate.registry import make_reader
from depthlm_plugin.curate.teaching import ask
from depthlm_plugin.errors import ConfigError, RecordError
from depthlm_plugin.predict.calibration import Calibration

TEACHER = ["--option", f"model={MODEL}"]


@pytest.fixture(scope="module")
def teachers(tmp_path_factory):
    """Folders of models, by what they answer."""
    folder = tmp_path_factory.mktemp("teachers")
    save_teacher(folder / "distance")
    save_teacher(folder / "z", label="z")
    save_teacher(folder / "wide", wide=True)
    return folder


def stretch(record):
    """Return how many times its z the distance of each labelled pixel is."""
    fx, fy, cx, cy, *_ = record["intrinsics"]
    u, v = np.array(record["pixel_coords"]).T
    return np.sqrt(1 + ((u - cx) / fx) ** 2 + ((v - cy) / fy) ** 2)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["distance", "z"])
def test_labels_are_the_distances_that_it_answers(teachers, capsys, tmp_path, kind):
    write_pictures(tmp_path / "raw")
    options = ["--option", f"model={teachers / kind}", "--limit", 2, "--points", 40]
    curate(capsys, "teacher", tmp_path / "raw", tmp_path / "out", *options)
    records = read_records(tmp_path / "out/teacher.jsonl")
    assert len(records) == 2
    for record in records:
        times = stretch(record) if kind == "z" else np.ones(40)
        assert times.max() > 1.2 or kind == "distance"  # or one could pass for the other
        assert record["depth_kind"] == "distance"
        np.testing.assert_allclose(record["depth"], SAID_M * times, rtol=1e-6)
        low, high = np.array(record["interval_90_m"]).T
        np.testing.assert_allclose(low, ELSE_M * times, atol=0.01)
        np.testing.assert_allclose(high, SAID_M * times, atol=0.01)
        assert record["teacher"]["model"] == kind
        assert record["teacher"]["version"].startswith("sha256:")
        assert record["teacher"]["focal"] == "given (file)"
        assert record["teacher"]["calibrated"] is False
    pixels = np.concatenate([record["pixel_coords"] for record in records])
    assert np.ptp(pixels, axis=0).min() > 130  # all over the pictures
    card = (tmp_path / "out/teacher/README.md").read_text()
    assert f"| labelled by {kind}, {records[0]['teacher']['version']} | 2 |" in card


@pytest.mark.slow
def test_intervals_stay_with_their_points_in_written_pictures(teachers, capsys, tmp_path):
    write_pictures(tmp_path / "raw")
    options = ["--option", f"model={teachers / 'z'}", "--images", "jpeg", "--focal-px", "20"]
    options += ["--points", 100, "--limit", 1]
    counts, _ = curate(capsys, "teacher", tmp_path / "raw", tmp_path / "out", *options)
    assert counts["points"] < 96  # some pixels have become one
    [record] = read_records(tmp_path / "out/teacher.jsonl")
    depth, interval = np.array(record["depth"]), np.array(record["interval_90_m"])
    assert np.ptp(depth) > 0.5
    np.testing.assert_allclose(interval[:, 0] / depth, ELSE_M / SAID_M, atol=0.005)


@pytest.mark.slow
def test_an_adapter_teaches_with_its_base(teachers, capsys, tmp_path):
    from peft import LoraConfig, get_peft_model
    from transformers import Qwen2_5_VLForConditionalGeneration

    raw = tmp_path / "raw"
    write_pictures(raw)
    base = save_teacher(raw / "base")
    (base / "depthlm_config.json").unlink()
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(base)
    get_peft_model(model, LoraConfig(target_modules=["q_proj"])).save_pretrained(raw / "lora")
    learnt = json.loads((teachers / "z/depthlm_config.json").read_text())
    save_config(DepthLMConfig.from_block(learnt["depthlm"]), raw / "lora", learnt["template"])
    options = ["--option", "model=base", "--option", "adapter=lora"]
    options += ["--limit", 1, "--points", 10]
    curate(capsys, "teacher", raw, tmp_path / "out", *options)
    [record, *_] = read_records(tmp_path / "out/teacher.jsonl")
    np.testing.assert_allclose(record["depth"], SAID_M * stretch(record), rtol=1e-6)
    assert record["teacher"]["model"] == "lora"
    reader = make_reader("teacher", raw, options={"model": "base", "adapter": "lora"})
    for name in ("base/config.json", "lora/adapter_config.json"):
        before = replace(reader).inputs()
        (raw / name).write_text((raw / name).read_text() + " ")
        assert replace(reader).inputs() != before


class Sure(Saying):
    """An engine that says 2 m of every pixel, more or less surely."""

    def __init__(self, say, shares):
        super().__init__(say)
        self.shares = shares

    def weigh(self, samples):
        return [
            (text, self.shares(sample.question.pixel))
            for text, sample in zip(self.answer(samples), samples, strict=True)
        ]


@pytest.fixture
def picture(blank_image):
    path = blank_image((ROOM.width, ROOM.height))
    camera = Camera(ROOM.fx, ROOM.fy, ROOM.cx, ROOM.cy, (ROOM.width, ROOM.height))
    return path, FoundCamera(camera, "file", "a file")


PIXELS = np.stack([np.arange(0, 200, 5), np.full(40, 75)], axis=1)


def test_wide_intervals_and_no_numbers_are_left_out_and_counted(picture):
    path, found = picture

    def shares(pixel):
        x, _ = pixel
        upper = "2.50" if x < 100 else "2.60"  # of 2 m a factor 1.25, and more
        return [("2.00", 0.5, True), (upper, 0.5, True)]

    def say(sample):
        return "far" if sample.question.pixel[0] < 20 else "2.00"

    engine = Sure(say, shares)
    config = DepthLMConfig(focal_px=152, reference="text", prompt="plain", label="z")
    answers = ask(Predictor(engine, config), path, found, PIXELS, 1.26)
    x = PIXELS[:, 0]
    assert answers.labelled.tolist() == ((x >= 20) & (x < 100)).tolist()
    assert answers.dropped == {
        "answered with no number that is a distance": 4,
        "of a wider interval than max_ratio": 20,
    }
    times = np.sqrt(1 + ((x - ROOM.cx) / ROOM.fx) ** 2)[answers.labelled]
    np.testing.assert_allclose(answers.depth_m, 2 * times, rtol=1e-3)
    intervals = np.array(answers.each["interval_90_m"])
    np.testing.assert_allclose(intervals.T, [1.995 * times, 2.505 * times], atol=0.01)
    assert engine.calls == [32, 8]  # together, and always alike


def test_answers_are_calibrated_and_so_are_their_intervals(picture):
    path, found = picture
    engine = Sure("2.00", lambda pixel: [("2.00", 1.0, True)])
    config = DepthLMConfig(focal_px=152, reference="text", prompt="plain")
    twice = {"depth": Calibration("isotonic", (1.0,), (2.0,))}
    answers = ask(Predictor(engine, config, twice), path, found, PIXELS, 1.25)
    np.testing.assert_allclose(answers.depth_m, 4)
    np.testing.assert_allclose(answers.each["interval_90_m"], [[3.991, 4.009]] * 40, atol=0.002)


def test_pixels_whose_mark_does_not_fit_are_left_out(picture):
    path, found = picture
    engine = Sure("2.00", lambda pixel: [("2.00", 1.0, True)])
    predictor = Predictor(engine, DepthLMConfig(focal_px=152, prompt="plain"))
    corners = np.array([[0, 0], [100, 75], [199, 149]])
    answers = ask(predictor, path, found, corners, 1.25)
    assert answers.labelled.tolist() == [False, True, False]
    assert answers.dropped == {"too near the border for the teacher's mark": 2}
    answers = ask(predictor, path, found, corners[:1], 1.25)
    assert not answers.labelled.any()


@pytest.mark.slow
def test_a_teacher_that_knows_nothing_labels_nothing(teachers, capsys, tmp_path):
    write_pictures(tmp_path / "raw")
    options = ["--option", f"model={teachers / 'wide'}", "--points", 10]
    _, said = curate(capsys, "teacher", tmp_path / "raw", tmp_path / "out", *options, status=1)
    assert "no label is left of 10: 10 of a wider interval than max_ratio" in said


@dataclass(frozen=True)
class _Interrupted(TeacherLabels):
    """The reader, which ends at the third picture."""

    def load(self, item):
        if item.frame_id == "rgb/2":
            raise ConfigError("interrupted")
        return super().load(item)


@pytest.mark.slow
def test_goes_on_to_the_same_bytes_unless_the_model_has_changed(tmp_path):
    raw = tmp_path / "raw"
    write_teacher(raw)

    def go(reader, out):
        output = Output(out, "teacher")
        job = Job(reader, "teacher", "teacher", output.folder, 40, 0, "uniform")
        return run_curation(job, output, None, Settings(chunk_frames=1))

    def files(out):
        return {
            path.relative_to(out): path.read_bytes()
            for path in out.rglob("*")
            if path.is_file() and "raw" not in path.relative_to(out).parts
        }

    reader = TeacherLabels(raw, model=MODEL)
    go(reader, tmp_path / "whole")
    with pytest.raises(ConfigError, match="interrupted"):
        go(_Interrupted(raw, model=MODEL), tmp_path / "resumed")
    assert go(reader, tmp_path / "resumed")["records"] == 4
    assert files(tmp_path / "resumed") == files(tmp_path / "whole")
    save_teacher(raw / MODEL, label="z")
    with pytest.raises(ConfigError, match="another configuration"):
        go(TeacherLabels(raw, model=MODEL), tmp_path / "whole")


def small_teacher(tmp_path, **block):
    """Return a reader of one picture and a model of which only the settings matter."""
    model = tmp_path / MODEL
    model.mkdir(parents=True)
    (tmp_path / "a.png").write_bytes(b"")
    (model / "config.json").write_text("{}")
    (model / "model.safetensors").write_bytes(b"")
    save_config(DepthLMConfig(**block), model, "qwen2_vl")
    return TeacherLabels(tmp_path, model=MODEL)


def test_models_that_cannot_teach_are_refused(tmp_path):
    reader = small_teacher(tmp_path / "a", tasks={"two_point_distance": 1.0})
    with pytest.raises(ConfigError, match="learnt two_point_distance, and labels are of depth or"):
        list(reader.items())
    reader = small_teacher(tmp_path / "b")
    assert [item.frame_id for item in reader.items()] == ["a"]
    with pytest.raises(ConfigError, match=r"max_ratio=1: expected a factor over 1"):
        list(replace(reader, max_ratio=1.0).items())
    with pytest.raises(ConfigError, match=r"adapter=teacher lacks adapter_config\.json"):
        list(replace(reader, adapter=MODEL).items())
    with pytest.raises(ConfigError, match="give --option model="):
        list(replace(reader, model=None).items())
    (tmp_path / "b" / MODEL / "depthlm_config.json").unlink()
    with pytest.raises(ConfigError, match="was not trained by depthlm-plugin"):
        list(reader.items())


@pytest.mark.parametrize(
    "name",
    [
        *("config.json", "model.safetensors", "depthlm_config.json", "tokenizer.json"),
        *("merges.txt", "chat_template.jinja", "depthlm_templates/depth.yaml"),
    ],
)
def test_a_link_out_of_the_root_is_not_followed(tmp_path, name):
    root = tmp_path / "raw"
    reader = small_teacher(root)
    path = root / MODEL / name
    path.parent.mkdir(exist_ok=True)
    path.touch()
    list(reader.items())
    away = path.rename(tmp_path / "away")
    path.symlink_to(away)
    with pytest.raises(RecordError, match=rf"{path.name}' leads out of --root"):
        list(reader.items())
    path.unlink()
    away.rename(path)
    picture = (root / "a.png").rename(tmp_path / "a.png")
    (root / "a.png").symlink_to(picture)
    with pytest.raises(RecordError, match="leads out of --root"):
        reader.load(next(iter(reader.items())))


@pytest.mark.slow
def test_a_damaged_model_ends_the_curation(tmp_path):
    raw = tmp_path / "raw"
    write_teacher(raw)
    (raw / MODEL / "model.safetensors").write_text("no weights")
    reader = TeacherLabels(raw, model=MODEL)
    with pytest.raises(ConfigError, match=r"the teacher of .*/raw/teacher cannot be loaded"):
        reader.load(next(iter(reader.items())))


@pytest.mark.slow
def test_points_are_drawn_before_depths_are_known(capsys, tmp_path):
    raw = tmp_path / "raw"
    write_teacher(raw)
    for options, why in (
        (["--sampling", "edges"], "--sampling edges draws by depths"),
        (["--option", "cameras=none.json"], "none.json"),
    ):
        _, said = curate(capsys, "teacher", raw, tmp_path / "out", *TEACHER, *options, status=1)
        assert why in said
    (raw / "cameras.json").unlink()
    _, said = curate(capsys, "teacher", raw, tmp_path / "new", *TEACHER, status=1)
    assert "4 no intrinsics" in said
