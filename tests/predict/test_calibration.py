"""What is made of a model's metres: monotone, kept only where it helps, of these very weights."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from depthlm_plugin.errors import ConfigError
from depthlm_plugin.predict.calibration import (
    SAVED_AS,
    Calibration,
    Judged,
    isotonic,
    judged,
    load_calibrations,
    log_affine,
    save_calibration,
)

FITS = [log_affine, isotonic]


def answers(error, *, noise=0.1, pictures=60, seed=0):
    """Return answers, truths and pictures' names; `error` makes an answer of a truth."""
    rng = np.random.default_rng(seed)
    true_m = np.exp(rng.uniform(math.log(0.5), math.log(40), 10 * pictures))
    said_m = error(true_m) * np.exp(rng.normal(0, noise, len(true_m)))
    return said_m, true_m, [f"{number // 10}.png" for number in range(len(true_m))]


@pytest.mark.parametrize("fit", FITS)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(2, 300),
    asked=st.lists(st.floats(1e-3, 1e3), min_size=2, max_size=20),
)
def test_a_larger_answer_never_becomes_smaller(fit, seed, count, asked):
    rng = np.random.default_rng(seed)
    said_m, true_m = np.exp(rng.normal(0, 2, (2, count)))
    mended = fit(said_m, true_m).of(np.sort(asked))
    assert np.isfinite(mended).all()
    assert (mended > 0).all()
    assert (np.diff(mended) >= -1e-9 * mended[:-1]).all()


@pytest.mark.parametrize("fit", FITS)
def test_right_answers_stay_as_they_are(fit):
    true_m = np.geomspace(0.5, 50, 1000)
    asked = np.geomspace(0.01, 1000, 77)
    np.testing.assert_allclose(fit(true_m, true_m).of(asked), asked, rtol=1e-9)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("factor", [0.8, 1.3])
def test_a_wrong_scale_is_found_and_holds_beyond_what_was_seen(fit, factor):
    true_m = np.geomspace(0.5, 50, 1000)
    mended = fit(factor * true_m, true_m)
    for value_m in (0.1, 2.0, 300.0):
        assert mended(factor * value_m) == pytest.approx(value_m, rel=1e-6)


def test_a_power_is_found_by_the_line():
    true_m = np.geomspace(0.5, 50, 500)
    assert log_affine(true_m**0.8, true_m)(20**0.8) == pytest.approx(20, rel=1e-9)


def test_what_no_line_is_is_mended_by_the_monotone_map():
    """Far answers flattened, as VLMs do: right to 5 m, then by the square root."""
    best, other = judged(*answers(lambda true: np.where(true < 5, true, (5 * true) ** 0.5)))
    assert best.calibration.kind == "isotonic"
    assert best.helps
    assert best.delta1 > other.delta1 + 0.02
    assert best.calibration(math.sqrt(5 * 20)) == pytest.approx(20, rel=0.1)


@pytest.mark.parametrize("seed", range(10))
def test_noise_is_not_an_improvement(seed):
    """Truths scatter about answers: of answers about bounded truths less at the ends is better."""
    true_m, said_m, pictures = answers(lambda said: said, noise=0.2, seed=seed)
    assert not any(fit.helps for fit in judged(said_m, true_m, pictures))


def test_what_helps_only_its_own_pictures_is_not_kept():
    """Each picture has a scale of its own: nothing learnt from some is right of others."""
    rng = np.random.default_rng(3)
    scale = np.repeat(np.exp(rng.normal(0, 0.6, 60)), 10)
    said_m, true_m, pictures = answers(lambda true: true * scale)
    assert not any(fit.helps for fit in judged(said_m, true_m, pictures))


def test_a_wrong_scale_is_kept_and_judged_on_other_pictures():
    said_m, true_m, pictures = answers(lambda true: 0.8 * true)
    for fit in judged(said_m, true_m, pictures):
        assert fit.helps
        assert (fit.points, fit.pictures) == (600, 60)
        right = np.abs(np.log(said_m / true_m)) < math.log(1.25)
        assert fit.raw_delta1 == pytest.approx(right.mean())
        assert fit.gain[0] < fit.delta1 - fit.raw_delta1 < fit.gain[1]
        assert fit.calibration(8.0) == pytest.approx(10, rel=0.05)


@pytest.mark.parametrize(("points", "pictures"), [(199, 50), (500, 9)])
def test_too_few_are_refused(points, pictures):
    names = [str(number % pictures) for number in range(points)]
    with pytest.raises(ConfigError, match="at least 200 answers about 10 pictures; found"):
        judged(np.ones(points), np.ones(points), names)


def test_answers_that_are_all_alike_are_refused():
    pictures = [str(number % 20) for number in range(300)]
    with pytest.raises(ConfigError, match="the 300 answers are 1 different numbers"):
        judged(np.full(300, 2.0), np.geomspace(1, 9, 300), pictures)


@pytest.mark.parametrize("fit", FITS)
def test_a_constant_answer_is_moved_and_not_turned(fit):
    mended = fit(np.full(300, 2.0), np.geomspace(1, 9, 300))
    assert mended(2.0) == pytest.approx(3.0, rel=1e-6)
    assert mended(4.0) == pytest.approx(6.0, rel=1e-6)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(bytes(range(256)) * 5000)
    return tmp_path


def a_judgement(value=2.0):
    calibration = Calibration("isotonic", (1.0, 3.0), (value, 2 * value))
    return Judged(calibration, 0.8, 0.7, (0.05, 0.15), 300, 20)


def test_tasks_are_kept_beside_each_other(folder):
    save_calibration(folder, "depth", a_judgement(), "a.jsonl")
    save_calibration(folder, "principal_axis_distance", a_judgement(4.0), "b.jsonl")
    found = load_calibrations(folder)
    assert found["depth"] == a_judgement().calibration
    assert found["principal_axis_distance"] == a_judgement(4.0).calibration
    saved = json.loads((folder / SAVED_AS).read_text())["tasks"]["depth"]
    assert saved["source"] == "a.jsonl"
    assert saved["held_out"]["raw_delta1"] == 0.7


def test_other_weights_are_refused_until_they_are_calibrated(folder):
    save_calibration(folder, "depth", a_judgement(), "a.jsonl")
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[640_000] ^= 1
    (folder / "model.safetensors").write_bytes(weights)
    with pytest.raises(ConfigError, match="other weights than those beside it; remove it, answer"):
        load_calibrations(folder)
    save_calibration(folder, "principal_axis_distance", a_judgement(), "b.jsonl")
    assert list(load_calibrations(folder)) == ["principal_axis_distance"]


def test_a_moved_folder_keeps_its_calibration(folder, tmp_path_factory):
    save_calibration(folder, "depth", a_judgement(), "a.jsonl")
    moved = tmp_path_factory.mktemp("elsewhere") / "model"
    folder.rename(moved)
    assert list(load_calibrations(moved)) == ["depth"]


@pytest.mark.parametrize(
    "damage",
    [
        {"true_m": [2.0, 1.0]},
        {"answered_m": [1.0, 1.0]},
        {"answered_m": [-1.0, 1.0]},
        {"true_m": [2.0]},
        {"true_m": [2.0, math.inf]},
        {"true_m": "far"},
        {"kind": "cubic"},
    ],
)
def test_a_damaged_file_is_refused(folder, damage):
    path = save_calibration(folder, "depth", a_judgement(), "a.jsonl")
    content = json.loads(path.read_text())
    content["tasks"]["depth"] |= damage
    path.write_text(json.dumps(content))
    with pytest.raises(ConfigError, match="is not a saved calibration: depth: "):
        load_calibrations(folder)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": 9, "weights": "", "tasks": {}}'])
def test_another_file_is_refused(folder, text):
    (folder / SAVED_AS).write_text(text)
    with pytest.raises(ConfigError, match=r"is not a saved calibration|has format 9"):
        load_calibrations(folder)


def test_a_folder_without_weights_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="holds no weights"):
        save_calibration(tmp_path, "depth", a_judgement(), "a.jsonl")
