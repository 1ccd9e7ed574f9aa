import json
import math
import random

import numpy as np
import pytest
from support.answers import score

from depthlm_plugin.kinds.ratio import RATIO
from depthlm_plugin.scoring import scores as scores_module
from depthlm_plugin.scoring import tally
from depthlm_plugin.scoring.scores import BINS_M, Scores, bin_label, finite, mean_over
from depthlm_plugin.scoring.table import slices_of, table_of
from depthlm_plugin.tasks import TASKS


def answers(count=3000, seed=0, **more):
    """Answers whose errors grow with distance; every tenth is not read."""
    rng = random.Random(seed)
    rows = []
    for number in range(count):
        target = rng.uniform(0.5, 60)
        value = round(target * math.exp(rng.gauss(0.05, 0.2)), 2) if number % 10 else None
        rows.append(
            {"dataset": "d", "task": "depth", "target": target, "value": value, "unit": "m"}
            | {"image": f"{number // 7}.png"}
            | more
        )
    return rows


def columns(rows):
    values = [math.nan if row["value"] is None else row["value"] for row in rows]
    return np.array(values), np.array([row["target"] for row in rows])


def test_metrics_are_those_of_scikit_learn():
    from sklearn.metrics import (  # seconds, which only the process of this test pays
        accuracy_score,
        mean_absolute_error,
        mean_absolute_percentage_error,
        root_mean_squared_error,
    )

    rows = answers()
    metrics = Scores(rows).metrics()
    values, targets = columns(rows)
    read = np.isfinite(values)
    p, g = values[read], targets[read]
    worst = np.fmax(np.nan_to_num(values / targets, nan=9), np.nan_to_num(targets / values, nan=9))
    assert {name: metrics[name] for name in ("abs_rel", "mae", "rmse", "rmse_log", "log10")} == (
        pytest.approx(
            {
                "abs_rel": mean_absolute_percentage_error(g, p),
                "mae": mean_absolute_error(g, p),
                "rmse": root_mean_squared_error(g, p),
                "rmse_log": root_mean_squared_error(np.log(g), np.log(p)),
                "log10": mean_absolute_error(np.log10(g), np.log10(p)),
            }
        )
    )
    for k in (1, 2, 3):
        right = worst < 1.25**k
        assert metrics[f"delta{k}"] == pytest.approx(accuracy_score(right, [True] * len(right)))
    assert metrics["sq_rel"] == pytest.approx(
        np.average((p - g) ** 2, weights=1 / g) * (1 / g).mean()
    )
    assert metrics["silog"] == pytest.approx(100 * np.std(np.log(p / g)))
    assert metrics["parse_failure_rate"] == 0.1


def test_batches_add_up_to_all_at_once(monkeypatch):
    rows = answers(2500)
    whole = Scores(rows).summary()
    monkeypatch.setattr(scores_module, "_BATCH", 7)
    parts = Scores(rows).summary()
    assert parts["metrics"] == pytest.approx(whole["metrics"], rel=1e-9)
    assert whole["metrics"] == pytest.approx(score(*columns(rows)), rel=1e-9)
    for name, limits in whole["intervals"].items():
        assert parts["intervals"][name] == pytest.approx(limits, rel=1e-9)


def test_more_answers_take_no_more_memory(monkeypatch):
    """What is kept of answers, beside sums of fixed size, is a sample of fixed size."""
    monkeypatch.setattr(tally, "KEPT", 500)
    found = Scores(answers(4000))
    metrics = found.metrics()
    kept = found.components["d", "depth"].tally._kept
    assert sum(map(len, kept)) <= 2 * 500
    exact = score(*columns(answers(4000)))
    assert metrics["constant_delta1"] == pytest.approx(exact["constant_delta1"], abs=0.06)
    assert metrics["delta1"] == pytest.approx(exact["delta1"])


def test_distance_bins_hold_their_lower_edge_and_add_up():
    rows = answers(800)
    rows[0]["target"], rows[1]["target"] = 2.0, math.nextafter(2.0, 0)
    part = Scores(rows).summary()["parts"][0]
    bins = part["by_distance_m"]
    assert sum(own["metrics"]["n"] for own in bins.values()) == 800
    for index in range(len(BINS_M) - 1):
        low, high = BINS_M[index : index + 2]
        inside = [row for row in rows if low <= row["target"] < high]
        found = bins.get(bin_label(index))
        assert (found is None) == (not inside)
        if found:
            assert found["metrics"]["delta1"] == pytest.approx(score(*columns(inside))["delta1"])
            assert found["metrics"]["n"] == len(inside)
            alone = Scores(inside).intervals()
            assert found["intervals"] == {name: pytest.approx(alone[name]) for name in alone}


def test_bins_are_metres_whatever_the_unit():
    [part] = Scores(answers(50, unit="cm")).summary()["parts"]
    assert part["by_distance_m"].keys() == {"0-1"}


def test_speeds_have_no_distance_bins():
    [part] = Scores(answers(50, task="speed", unit="m/s")).summary()["parts"]
    assert "by_distance_m" not in part


def test_edges_and_the_interior():
    rows = [
        *answers(30, seed=1, at_edge=True),
        *answers(40, seed=2, at_edge=False),
        *answers(50, seed=3),
    ]
    found = Scores(rows).summary()["parts"][0]["by_edge"]
    assert {label: own["metrics"]["n"] for label, own in found.items()} == {
        "edge": 30,
        "interior": 40,
    }
    assert found["edge"]["metrics"]["mae"] == pytest.approx(score(*columns(rows[:30]))["mae"])


@pytest.mark.parametrize("kind", ["distance", "z"])
def test_an_answer_is_read_as_distance_and_as_z(kind):
    """A pixel at a corner: 10 m away, 8 m along the axis; the model says 8."""
    target = {"distance": 10.0, "z": 8.0}[kind]
    row = {"dataset": "d", "task": "depth", "target": target, "value": 8.0, "image": "a"}
    rows = [row | {"depth_kind": kind, "distance_over_z": 1.25}]
    found = Scores(rows).summary()["parts"][0]["read_as"]
    assert found["z"]["metrics"]["abs_rel"] == pytest.approx(0)
    assert found["distance"]["metrics"]["abs_rel"] == pytest.approx(0.2)
    assert "read_as" not in Scores([row]).summary()["parts"][0]


def test_poses_are_no_depths_whatever_their_rows_say():
    pose = dict.fromkeys(TASKS["relative_pose"].values, 1.0)
    row = {"dataset": "d", "task": "relative_pose", "target": pose, "value": pose}
    [part] = Scores([row | {"depth_kind": "z", "distance_over_z": 1.1}]).summary()["parts"]
    assert "read_as" not in part
    assert part["metrics"]["auc_30"] == 1


def test_means_over_different_tasks_have_no_interval():
    rows = [*answers(30), *answers(30, task="speed", unit="m/s")]
    summary = Scores(rows).summary()
    assert summary["intervals"] == {}
    assert all("delta1" in part["intervals"] for part in summary["parts"])


def test_repeated_answers_and_their_last_digits():
    values = [2.0, 2.0, 2.5, 2.0, 3.5, None]
    targets = [2.0, 2.11, 2.52, 2.03, 3.54, 1.0]
    rows = [
        {"dataset": "d", "task": "depth", "target": t, "value": v, "image": str(t)}
        for t, v in zip(targets, values, strict=True)
    ]
    habits = Scores(rows).summary()["parts"][0]["habits"]
    assert habits["distinct"] == 3
    assert habits["commonest"][0] == [2.0, 0.6]
    assert habits["end_digits"] == [1.0] + [0.0] * 9
    assert habits["end_digits_true"] == [0.2, 0.2, 0.2, 0.2, 0.2, 0, 0, 0, 0, 0]
    assert habits["end_digits_off"] == pytest.approx(0.8)
    said = slices_of(Scores(rows))
    assert "3 different answers, 60.0% say 2; last digits are off the truth's by 0.800" in said


def test_habits_of_silence():
    rows = [row | {"value": None} for row in answers(3)]
    assert Scores(rows).summary()["parts"][0]["habits"] == {}
    assert "no answer was read" in slices_of(Scores(rows))


def test_means_over_datasets_have_intervals_of_their_own():
    one, two = answers(700, seed=1, dataset="one"), answers(700, seed=2, dataset="two")
    both = Scores([*one, *two])
    alone = [Scores(rows) for rows in (one, two)]
    width = [high - low for low, high in (s.intervals()["delta1"] for s in (both, *alone))]
    # Two independent sets: their mean varies by 1 / sqrt 2 as much.
    assert width[0] == pytest.approx((width[1] + width[2]) / 2 / math.sqrt(2), rel=0.15)
    low, high = both.intervals()["delta1"]
    assert low < both.metrics()["delta1"] < high
    # Pictures of one name in two datasets are two pictures.
    twice = Scores([*one, *(row | {"dataset": "two"} for row in one)])
    low, high = twice.intervals()["delta1"]
    assert high - low < 0.85 * width[1]


def test_every_line_of_an_incomplete_table_says_so():
    rows = [*answers(30), *answers(30, dataset="e")]
    lines = table_of(Scores(rows), complete=False, mean="mean of 2 of 8").splitlines()[1:]
    assert len(lines) == 3
    assert all(line.endswith("INCOMPLETE") for line in lines)
    assert lines[-1].startswith("mean of 2 of 8")
    lines = slices_of(Scores(rows), complete=False).splitlines()
    assert all(line.endswith("INCOMPLETE") for line in lines[1:-2])
    assert "INCOMPLETE" not in table_of(Scores(rows))


def test_plain_data_is_json_whatever_the_errors():
    rows = answers(20)
    rows[1]["value"] = 1e200
    summary = Scores(rows).summary()
    assert summary["metrics"]["rmse"] == math.inf
    again = json.loads(json.dumps(finite(summary), allow_nan=False))
    assert again["metrics"]["rmse"] is None
    assert again["metrics"]["delta1"] == summary["metrics"]["delta1"]


def test_mean_over_weighs_datasets_equally():
    small, large = score([1.0], [1.0]), score([9.0, 9.0, math.nan], [1.0, 1.0, 1.0])
    mean = mean_over(RATIO, [small, large])
    assert (mean["delta1"], mean["parse_failure_rate"], mean["n"]) == (0.5, pytest.approx(1 / 6), 4)
    assert (mean["abs_rel"], mean["rmse"]) == (4, 4)
    assert "constant_m" not in mean
    assert "abs_rel" not in mean_over(RATIO, [small, score([math.nan], [1.0])])


def test_means_over_datasets_of_errors_near_the_largest_floats():
    """Their sum is beyond all floats, which is no reason for a warning."""
    rows = [
        {"dataset": name, "task": "depth", "target": 1.0, "value": 1.7e308} for name in ("a", "b")
    ]
    assert Scores(rows).metrics()["mae"] == math.inf
    assert Scores(rows[:1]).metrics()["mae"] == 1.7e308
    assert "mae" not in Scores(rows).intervals()
