"""A task folder holds rendered pictures, questions, and the YAML files that lmms-eval reads."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import ConfigError, DepthLMError
from ..language.templates import is_path, template_files
from ..records.atomic import recover, whole_folder
from ..records.rows import Rows
from ..sampling.planner import Planner
from ..sampling.requirements import check_served, lacking
from ..sampling.sample import Sample
from .lmms import REQUEST_FAILURES, TEMPLATES, doc_of, metrics_of

GROUP = "depthlm"
_SHIPPED = Path(__file__).parent / "shipped"
_METADATA = ("focal_px", "label", "reference", "marker", "marker_px", "prompt", "seed")


@dataclass(frozen=True)
class TaskSummary:
    """One task of the folder.

    Attributes:
        name: Its name in the harness.
        dataset: What it asks about.
        task: What it asks.
        questions: How many questions it has.
    """

    name: str
    dataset: str
    task: str
    questions: int


@dataclass(frozen=True)
class FolderSummary:
    """What was written.

    Attributes:
        tasks: The tasks.
        pictures: How many pictures.
        left_out: Dataset -> reason -> how many records or points were left out for it.
    """

    tasks: tuple[TaskSummary, ...]
    pictures: int
    left_out: dict[str, dict[str, int]]


def write_folder(
    sources: Sequence[tuple[Planner, Rows]],
    out: Path,
    progress: Callable[[], object] = lambda: None,
) -> FolderSummary:
    """Write the questions of some datasets as a folder of tasks for lmms-eval.

    Every dataset and kind of question is a task; the group `depthlm` holds them all, with means
    over them. The folder can be moved: nothing in it says where it is. It appears under its name
    when it is complete (`records.atomic`).

    Args:
        sources: Of each dataset what decides its samples, in evaluation, and its records.
        out: A folder to make, or an empty one.
        progress: Called after every record.

    Raises:
        DepthLMError: For a folder that is not empty, two datasets of one name, records of which
            nothing can be asked, or whose pictures' names are not UTF-8, and whatever is wrong with
            them; when it cannot be written.
    """
    try:
        recover(out)
        _check(sources, out)
        out.parent.mkdir(parents=True, exist_ok=True)
        with whole_folder(out) as partial:
            return _write(sources, partial, progress)
    except OSError as error:
        raise DepthLMError(f"cannot write {out} ({error}); nothing was kept") from error
    except UnicodeEncodeError as error:
        name = error.object.encode("utf-8", "backslashreplace").decode()
        raise DepthLMError(
            f"'{name}' of the records is not UTF-8, which tasks are; rename the file, and its"
            " records with it. Nothing was kept"
        ) from error


def _write(
    sources: Sequence[tuple[Planner, Rows]], out: Path, progress: Callable[[], object]
) -> FolderSummary:
    docs: dict[tuple[str, str], list[dict[str, Any]]] = {}
    left_out: dict[str, dict[str, int]] = {}
    pictures = 0
    for planner, rows in sources:
        counts: Counter[str] = Counter()
        folder = out / "pictures" / _safe(planner.dataset)
        folder.mkdir(parents=True)
        for row, (where, raw) in enumerate(rows):
            samples, skipped = planner.plan(raw, where, row)
            counts += skipped
            names: dict[str, str] = {}  # of this record's pictures, by what they show
            for sample in samples:
                paths = _write_pictures(sample, folder, row, names)
                places = [path.relative_to(out).as_posix() for path in paths]
                docs.setdefault((planner.dataset, sample.task), []).append(doc_of(sample, places))
            pictures += len(names)
            progress()
        left_out[planner.dataset] = dict(counts)
    if not docs:
        raise DepthLMError(f"nothing can be asked of these records: {json.dumps(left_out)}")
    tasks = _write_tasks(docs, sources[0][0], out)
    return FolderSummary(tuple(tasks), pictures, left_out)


def _check(sources: Sequence[tuple[Planner, Rows]], out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DepthLMError(f"{out} is there and not empty; remove it or choose another --out")
    names = [_safe(planner.dataset) for planner, _ in sources]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(
                f"two datasets are called {name}: a file's name is its dataset's; rename one"
            )
    wanted = sources[0][0].config.tasks
    check_served(wanted, {planner.dataset: lacking(wanted, rows) for planner, rows in sources})


def _write_pictures(sample: Sample, folder: Path, row: int, names: dict[str, str]) -> list[Path]:
    """Write the views of a sample as PNG, each once a record; return where they are."""
    for view in sample.views:
        if view.to_uri() not in names:
            name = f"{row:06d}_{len(names)}.png"
            view.render(sample.where).save(folder / name)
            names[view.to_uri()] = name
    return [folder / names[view.to_uri()] for view in sample.views]


def _write_tasks(
    docs: dict[tuple[str, str], list[dict[str, Any]]], planner: Planner, out: Path
) -> list[TaskSummary]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    config = planner.config
    for task, template in template_files(list(config.tasks), config.prompt).items():
        (out / TEMPLATES).mkdir(exist_ok=True)
        shutil.copyfile(template, out / TEMPLATES / f"{task}.yaml")
    (out / "questions").mkdir()
    tasks = []
    for (dataset, task), rows in docs.items():
        parts = [GROUP, _safe(dataset), *([task] if len(config.tasks) > 1 else [])]
        tasks.append(TaskSummary("_".join(parts), dataset, task, len(rows)))
        pq.write_table(pa.Table.from_pylist(rows), out / "questions" / f"{tasks[-1].name}.parquet")
    for file in _SHIPPED.iterdir():
        if file.is_file():
            shutil.copyfile(file, out / file.name)
    metadata = {"version": 1, "depthlm_plugin": __version__}
    metadata |= {name: getattr(config, name) for name in _METADATA}
    metadata |= {"prompt": TEMPLATES} if is_path(config.prompt) else {}
    for summary in tasks:
        text = _task_yaml(summary, metadata)
        (out / f"{summary.name}.yaml").write_text(text, encoding="utf-8")
    (out / f"{GROUP}.yaml").write_text(_group_yaml(tasks), encoding="utf-8")
    return tasks


def _task_yaml(task: TaskSummary, metadata: dict[str, Any]) -> str:
    lines = [
        f"# {task.questions} questions ({task.task}) about {task.dataset!r}, by `depthlm harness`",
        "include: depthlm_common",
        f"task: {json.dumps(task.name)}",
        "dataset_kwargs:",
        f"  data_files: {json.dumps({'test': f'questions/{task.name}.parquet'})}",
        "metric_list:",
    ]
    for name, more_is_better in metrics_of(task.task).items():
        how = "aggregation: !function depthlm_functions.aggregate"
        better = json.dumps(more_is_better)
        lines.append(f"  - {{metric: {name}, {how}, higher_is_better: {better}}}")
    lines.append(f"  - {{metric: {REQUEST_FAILURES}, aggregation: mean, higher_is_better: false}}")
    lines.append(f"metadata: {json.dumps(metadata)}")
    return "\n".join(lines) + "\n"


def _group_yaml(tasks: Sequence[TaskSummary]) -> str:
    names = {name: None for task in tasks for name in (*metrics_of(task.task), REQUEST_FAILURES)}
    lines = [
        "# All tasks of this folder, with the mean of each metric over them.",
        f"group: {GROUP}",
        f"task: {json.dumps([task.name for task in tasks])}",
        "aggregate_metric_list:",
        *(f"  - {{metric: {name}, aggregation: mean, weight_by_size: false}}" for name in names),
    ]
    return "\n".join(lines) + "\n"


def _safe(dataset: str) -> str:
    """Return a dataset's name as lmms-eval's patterns and lists of tasks leave it alone."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", dataset)
