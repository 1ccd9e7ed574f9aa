"""Rewards for reinforcement learning on numbers, as TRL, ms-swift, EasyR1 and verl call them.

Answers are read as in evaluation, so a reward and a score never disagree about what was said. What
cannot be read gets the lowest reward there is:

| reward | of tasks | value | lowest |
|---|---|---|---|
| `delta1` | about one quantity | 1 if max(p/g, g/p) < 1.25, else 0 | 0 |
| `negative_l1` | about one quantity | -abs(p - g), in the answer's unit | -100 |
| `negative_abs_rel` | about one quantity | -abs(p - g) / g | -10 |
| `accuracy` | that choose | 1 if right, else 0 | 0 |

**TRL's GRPO and ms-swift** call such a function with all completions, and with the dataset's
columns as keywords, one entry a completion:

* `target`, or else `solution`, or else `ground_truth`: the true value in the template's unit, as a
  number or as text, such as `<answer> 2.35 </answer>`.
* `task` and `style`: of the question, `depth` and `official` where there are no such columns. A
  completion whose `task` is None is about something else and has None for a reward, and so has one
  whose task is scored another way: both trainers leave it out of that reward.

In TRL these functions are `reward_funcs`, and `grpo_rows` makes the dataset. In ms-swift a file for
`--external_plugins` lists them:

    from depthlm_plugin import rewards
    from swift.rewards import orms

    orms["delta1"] = lambda args=None: rewards.delta1

**EasyR1 and verl** look a function up in a file, which needs no more than its import:

    from depthlm_plugin.rewards import easyr1_score, verl_score
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from numbers import Real
from typing import Any

from .errors import ConfigError, RecordError, did_you_mean
from .language.reading import read_answer
from .language.template import Template
from .language.templates import load_template
from .sampling.sample import Sample
from .scoring.ratio import THRESHOLD
from .tasks import TASKS

LOWEST_L1 = -100.0  # in the answer's unit: m, s, m/s
LOWEST_ABS_REL = -10.0
TARGETS = ("target", "solution", "ground_truth")  # columns that may hold the truth, first one wins
TASK, STYLE = "depth", "official"  # of rows that do not say

Rewards = list[float | None]


def delta1(completions: Sequence[Any], **columns: Any) -> Rewards:
    """Return 1 for answers within a factor of 1.25 of the truth (strictly), else 0.

    Args:
        completions: Texts, or conversations whose last message is the answer.
        **columns: See the module; all others are ignored.

    Returns:
        One reward for each completion, None where the task is scored another way.

    Raises:
        ConfigError: When there are no true values, or a task or style is unknown.
        RecordError: When a true value is not one; it names the sample of the call, from 0.
    """
    return _rewards("delta1", completions, columns)


def negative_l1(completions: Sequence[Any], **columns: Any) -> Rewards:
    """Return minus the absolute error in the answer's unit, at least `LOWEST_L1`; as `delta1`."""
    return _rewards("negative_l1", completions, columns)


def negative_abs_rel(completions: Sequence[Any], **columns: Any) -> Rewards:
    """Return minus the error divided by the truth, at least `LOWEST_ABS_REL`; as `delta1`."""
    return _rewards("negative_abs_rel", completions, columns)


def accuracy(completions: Sequence[Any], **columns: Any) -> Rewards:
    """Return 1 for the right choice, else 0; as `delta1`."""
    return _rewards("accuracy", completions, columns)


def easyr1_score(
    reward_inputs: Any,
    ground_truth: Any = None,
    *,
    reward: str | None = None,
    task: str = TASK,
    style: str = STYLE,
) -> Any:
    """Return the rewards of answers by name, as EasyR1 asks for them.

    Args:
        reward_inputs: A list of objects with `response` and `ground_truth` (EasyR1's batch reward),
            one such object (its sequential reward), or a text (that of older versions).
        ground_truth: The true value that comes with a text.
        reward: Name of the reward to train on; without one `delta1`, or `accuracy` of choices.
        task: Name of the task of all answers.
        style: Style of its template, or a path: what the recipe calls `prompt`.

    Returns:
        Numbers by name: `overall`, which EasyR1 trains on, and all rewards of the task, which it
        logs. A list of them for a list.

    Raises:
        ConfigError: When `task` or `style` is unknown, or the task has no such reward.
        RecordError: When a true value is not one; it names the sample of the call, from 0.
    """
    if isinstance(reward_inputs, str):
        reward_inputs = {"response": reward_inputs, "ground_truth": ground_truth}
    if isinstance(reward_inputs, Mapping):
        return easyr1_score([reward_inputs], reward=reward, task=task, style=style)[0]
    pairs = [(given["response"], given["ground_truth"]) for given in reward_inputs]
    return _scores(pairs, reward, task, style)


def verl_score(
    data_source: str,
    solution_str: str,
    ground_truth: Any,
    extra_info: Any = None,
    *,
    reward: str | None = None,
    task: str = TASK,
    style: str = STYLE,
) -> float:
    """Return the reward of one answer, as verl asks for it; as `easyr1_score`."""
    return _scores([(solution_str, ground_truth)], reward, task, style)[0]["overall"]


def grpo_rows(samples: Iterable[Sample]) -> Iterator[dict[str, Any]]:
    """Yield rows of a dataset for TRL's GRPO, one a question; images are rendered on the way.

    Columns: `prompt` (messages up to the question, in which TRL puts the images first), `images`
    (PIL), `target` (full precision), `task`, `style`.

    Raises:
        ConfigError: For a task that has no reward here.

    Example:
        >>> samples = DepthSamples("train.jsonl", depth_kind="z", train=True)  # doctest: +SKIP
        >>> datasets.Dataset.from_list(list(grpo_rows(samples)))  # doctest: +SKIP
    """
    for sample in samples:
        system = [] if sample.system is None else [{"role": "system", "content": sample.system}]
        images = sample.images
        for question, (user, _) in zip(sample.questions, sample.turns, strict=True):
            _chosen(None, question.task)
            yield {
                "prompt": [*system, {"role": "user", "content": user}],
                "images": images,
                "target": question.target,
                "task": question.task,
                "style": question.prompt,
            }


def _delta1(value: float | None, truth: float) -> float:
    return float(value is not None and max(value / truth, truth / value) < THRESHOLD)


def _negative_l1(value: float | None, truth: float) -> float:
    return LOWEST_L1 if value is None else max(-abs(value - truth), LOWEST_L1)


def _negative_abs_rel(value: float | None, truth: float) -> float:
    return LOWEST_ABS_REL if value is None else max(-abs(value - truth) / truth, LOWEST_ABS_REL)


def _accuracy(value: float | None, truth: float) -> float:
    return float(value == truth)


# How tasks are scored, and the reward of a value that was read, or None, and its truth.
_RULES: dict[str, tuple[str, Callable[[float | None, float], float]]] = {
    "delta1": ("ratio", _delta1),
    "negative_l1": ("ratio", _negative_l1),
    "negative_abs_rel": ("ratio", _negative_abs_rel),
    "accuracy": ("choice", _accuracy),
}


def _rewards(name: str, completions: Sequence[Any], columns: Mapping[str, Any]) -> Rewards:
    target = next((target for target in TARGETS if columns.get(target) is not None), None)
    if target is None:
        raise ConfigError(
            f"no true values: expected a dataset column {', '.join(TARGETS[:-1])} or {TARGETS[-1]},"
            f" found {', '.join(sorted(columns)) or 'none'}; is remove_unused_columns on?"
        )
    scoring, rule = _RULES[name]
    count = len(completions)
    truths = _column(columns, target, count)
    tasks = _column(columns, "task", count, TASK)
    styles = _column(columns, "style", count, STYLE)
    rewards: Rewards = []
    for index, (completion, task) in enumerate(zip(completions, tasks, strict=True)):
        template = None if task is None else load_template(task, styles[index] or STYLE)
        if template is None or TASKS[template.task].scoring != scoring:
            rewards.append(None)
            continue
        where = f"sample {index}"
        truth = _truth(truths[index], template, target, where)
        rewards.append(rule(_value(_text(completion, where), template), truth))
    return rewards


def _scores(
    pairs: Sequence[tuple[str, Any]], reward: str | None, task: str, style: str
) -> list[dict[str, float]]:
    """Return `overall` and all rewards of the task for each text and its truth."""
    template = load_template(task, style)
    chosen = _chosen(reward, task)
    scores = []
    for index, (text, raw) in enumerate(pairs):
        truth = _truth(raw, template, "ground_truth", f"sample {index}")
        value = _value(text, template)
        named = {name: _RULES[name][1](value, truth) for name in _known(task)}
        scores.append({"overall": named[chosen], **named})
    return scores


def _chosen(reward: str | None, task: str) -> str:
    """Return the name of a reward that the task has: the first one where none is asked for."""
    known = _known(task)
    if not known:
        raise ConfigError(f"task {task!r} has no reward; leave it out of the tasks")
    name = reward or known[0]
    if name not in known:
        raise ConfigError(f"task {task!r} has no reward {name!r}{did_you_mean(name, known)}")
    return name


def _known(task: str) -> list[str]:
    return [name for name, (scoring, _) in _RULES.items() if scoring == TASKS[task].scoring]


def _column(
    columns: Mapping[str, Any], name: str, count: int, absent: str | None = None
) -> list[Any]:
    """Return a column's entries; where there is no column, or a text for all, that one."""
    column = columns.get(name)
    column = absent if column is None else column
    if column is None or isinstance(column, str):
        return [column] * count
    if len(column) != count:
        raise ConfigError(f"{count} completions, but {len(column)} entries of {name}")
    return list(column)


def _text(completion: Any, where: str) -> str:
    """Return a completion's text: itself, or that of a conversation's last message."""
    content = completion
    if isinstance(completion, Sequence) and completion and isinstance(completion[-1], Mapping):
        content = completion[-1].get("content")
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence) and all(isinstance(part, Mapping) for part in content):
        return "".join(part.get("text", "") for part in content)
    raise RecordError(
        "bad completion",
        where,
        f"its completion is {completion!r:.80}, expected a text or messages that end with one",
    )


def _value(text: str, template: Template) -> float | None:
    values = read_answer(text, template).values
    return None if values is None else next(iter(values.values()))


def _truth(raw: Any, template: Template, column: str, where: str) -> float:
    number = math.nan
    if isinstance(raw, str):
        read = _value(raw, template)
        number = math.nan if read is None else read
    elif isinstance(raw, Real) and not isinstance(raw, bool):
        number = float(raw)
    if TASKS[template.task].scoring == "choice":
        good, expected = number in (1, 2), "1 or 2"
    else:
        good, expected = 0 < number < math.inf, f"a number of {template.unit} above 0"
    if not good:
        raise RecordError(
            "bad target",
            where,
            f"its {column} is {raw!r:.80}, expected {expected} as the true answer of"
            f" {template.task}; correct it or leave the row out",
        )
    return number
