"""Metrics of answers whose values are known, by kind and without rows."""

import numpy as np

from depthlm_plugin.kinds.ratio import RATIO
from depthlm_plugin.scoring.intervals import picture_keys, weights
from depthlm_plugin.scoring.tally import Tally


def columns(names, answers):
    """One tuple of values an answer, as kinds take them."""
    return dict(zip(names, np.array(answers, dtype=float).T, strict=True))


def scored(kind, names, predicted, true):
    """Metrics of answers that are all about one picture."""
    tally = Tally(kind)
    measured = kind.measure(columns(names, predicted), columns(names, true))
    keys = picture_keys(["a picture"])
    tally.add(measured, np.zeros(len(predicted), dtype=np.int64), keys, weights(keys))
    return tally.metrics()


def score(predictions, targets):
    """Metrics of one positive quantity, all answers at once: no sums, no batches."""
    targets = np.array(targets, dtype=float)
    measured = RATIO.measure({"value": np.array(predictions, dtype=float)}, {"value": targets})
    read = {name: values[~np.isnan(values)] for name, values in measured.items()}
    derived = RATIO.derive({name: values.mean() for name, values in read.items() if len(values)})
    whole = RATIO.whole({"target": targets})
    return {name: float(value) for name, value in derived.items()} | whole | {"n": len(targets)}
