"""Rewards for reinforcement learning on numbers, as TRL and ms-swift call them.

Answers are read as in evaluation, so a reward and a score never disagree about what was said. What
cannot be read gets the lowest reward there is:

| reward | of tasks | value | lowest |
|---|---|---|---|
| `delta1` | about one quantity | 1 if max(p/g, g/p) < 1.25, else 0 | 0 |
| `negative_l1` | about one quantity | -abs(p - g), in the answer's unit | -100 |
| `negative_abs_rel` | about one quantity | -abs(p - g) / g | -10 |
| `accuracy` | that choose | 1 if right, else 0 | 0 |

Each kind of answer states its own rewards (`kinds.kind.AnswerKind.rewards`); `reward_function`
finds those that have no name here.

**TRL's GRPO and ms-swift** call such a function with all completions, and with the dataset's
columns as keywords, one entry a completion:

* `target`, or else `solution`, or else `ground_truth`: the true value in the template's unit, as a
  number or as text, such as `<answer> 2.35 </answer>`; several values as a mapping by placeholder.
* `task` and `style`: of the question, `depth` and `official` where there are no such columns. A
  completion whose `task` is None is about something else and has None for a reward, and so has one
  whose answer is of a kind without that reward: both trainers leave it out of that reward.

In TRL these functions are `reward_funcs`, and `grpo_rows` makes the dataset. In ms-swift a file for
`--external_plugins` lists them:

    from depthlm_plugin import rewards
    from swift.rewards import orms

    orms["delta1"] = lambda args=None: rewards.delta1
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from numbers import Real
from typing import Any

from .errors import ConfigError, RecordError, did_you_mean
from .language.reading import read_answer
from .language.template import Template
from .language.templates import load_template
from .sampling.sample import Sample
from .scoring.prediction import cell_of, values_of
from .tasks import TASKS

TARGETS = ("target", "solution", "ground_truth")  # columns that may hold the truth, first one wins
TASK, STYLE = "depth", "official"  # of rows that do not say

Rewards = list[float | None]


def reward_function(name: str) -> Callable[..., Rewards]:
    """Return the function of a reward that some kind of answer has.

    The function's arguments are completions, texts or conversations whose last message is the
    answer, and columns by keyword: see the module; all others are ignored. It returns one reward
    for each completion, None where the task's answers have no such reward. It raises ConfigError
    when there are no true values, or a task or style is unknown, and RecordError when a true value
    is not one: with the number of the sample in the call, from 0.

    Raises:
        ConfigError: When no kind has it.
    """
    known = sorted({name for task in TASKS.values() for name in task.kind.rewards})
    if name not in known:
        raise ConfigError(f"unknown reward {name!r}{did_you_mean(name, known)}")

    def function(completions: Sequence[Any], **columns: Any) -> Rewards:
        return _rewards(name, completions, columns)

    function.__name__ = function.__qualname__ = name  # trainers log it
    return function


delta1 = reward_function("delta1")
negative_l1 = reward_function("negative_l1")
negative_abs_rel = reward_function("negative_abs_rel")
accuracy = reward_function("accuracy")


def grpo_rows(samples: Iterable[Sample]) -> Iterator[dict[str, Any]]:
    """Yield rows of a dataset for TRL's GRPO, one a question; images are rendered on the way.

    Columns: `prompt` (messages up to the question, in which TRL puts the images first), `images`
    (PIL), `target` (full precision; several values by placeholder), `task`, `style`.

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
            if not TASKS[question.task].kind.rewards:
                raise ConfigError(
                    f"task {question.task!r} has no reward; leave it out of the tasks"
                )
            yield {
                "prompt": [*system, {"role": "user", "content": user}],
                "images": images,
                "target": cell_of(question.truth),
                "task": question.task,
                "style": question.prompt,
            }


def _rewards(name: str, completions: Sequence[Any], columns: Mapping[str, Any]) -> Rewards:
    target = next((target for target in TARGETS if columns.get(target) is not None), None)
    if target is None:
        raise ConfigError(
            f"no true values: expected a dataset column {', '.join(TARGETS[:-1])} or {TARGETS[-1]},"
            f" found {', '.join(sorted(columns)) or 'none'}; is remove_unused_columns on?"
        )
    count = len(completions)
    truths = _column(columns, target, count)
    tasks = _column(columns, "task", count, TASK)
    styles = _column(columns, "style", count, STYLE)
    rewards: Rewards = []
    for index, (completion, task) in enumerate(zip(completions, tasks, strict=True)):
        template = None if task is None else load_template(task, styles[index] or STYLE)
        rule = None if template is None else TASKS[template.task].kind.rewards.get(name)
        if template is None or rule is None:
            rewards.append(None)
            continue
        where = f"sample {index}"
        truth = _truth(truths[index], template, target, where)
        rewards.append(rule(read_answer(_text(completion, where), template).values, truth))
    return rewards


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


def _truth(raw: Any, template: Template, column: str, where: str) -> Mapping[str, float]:
    task = TASKS[template.task]
    if isinstance(raw, str):
        values: Mapping[str, Any] = read_answer(raw, template).values or {}
    else:
        values = values_of(raw, task.name)
    numbers = {name: float(value) for name, value in values.items() if _is_number(value)}
    if numbers.keys() != set(task.values) or task.kind.problem(numbers) is not None:
        raise RecordError(
            "bad target",
            where,
            f"its {column} is {raw!r:.80}, expected {task.kind.expects.format(unit=template.unit)}"
            f" as the true answer of {task.name}; correct it or leave the row out",
        )
    return numbers


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)
