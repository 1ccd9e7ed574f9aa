"""The scores in a card are of these weights, and of a whole evaluation, or there are none."""

import json

from depthlm_plugin.card.evaluation import answers, evaluation_of

OURS = "5f2e"


def row(number: int, run: str = OURS, of: int = 4, **changes: object) -> dict[str, object]:
    text = "<answer> 2.0 </answer>"
    return {
        "dataset": "rooms", "task": "depth", "prompt": "official", "row": number, "point": 0,
        "image": f"{number}.png", "target": 2.1, "text": text, "run": run, "of": of,
    } | changes  # fmt: skip


def found(folder):
    return evaluation_of(folder, OURS, "depth", "official")


def test_the_largest_whole_evaluation_by_these_weights_counts(tmp_path, save_rows) -> None:
    def write(place: str, rows: list[dict[str, object]]) -> None:
        path = tmp_path / place / "depth_predictions.jsonl"
        path.parent.mkdir(parents=True)
        save_rows(path, rows)

    weights = tmp_path / "lora"
    weights.mkdir()
    assert found(weights) is None
    write("of-others", [row(n, run="77aa", of=9) for n in range(9)])
    write("of-a-later-step", [row(n, run=f"{OURS}-300") for n in range(4)])
    write("mixed", [*(row(n) for n in range(4)), row(4, run="77aa", of=1)])
    write("cut-off", [row(n, of=40) for n in range(8)])
    write("damaged", [*(row(n, of=6) for n in range(5)), "{"])
    write("bad", ["[]"])
    assert found(weights) is None

    write("lora/eval", [row(n, of=2) for n in range(2)])
    assert answers(found(weights)) == 2
    write("elsewhere/deeper", [row(n) for n in range(4)])
    assert answers(found(weights)) == 2
    write("eval", [row(n, of=3) for n in range(3)])
    scores = found(weights)
    assert answers(scores) == 3
    [part] = scores["parts"]
    assert (part["dataset"], part["task"], part["metrics"]["delta1"]) == ("rooms", "depth", 1.0)
    json.dumps(scores, allow_nan=False)  # as it is kept beside the weights
