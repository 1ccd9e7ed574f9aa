"""Prepares depth datasets beforehand: turns records into samples, and samples into tokens."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

import numpy as np
from datasets import Dataset, Features, Sequence, Value
from datasets.exceptions import DatasetGenerationError
from llamafactory.data import converter as lf_converter
from llamafactory.data import data_utils
from llamafactory.data.parser import get_dataset_list
from llamafactory.extras import logging

from ..errors import DepthLMError
from ..records import storage
from ..records.files import record_files
from ..records.rows import read_rows
from ..records.units import open_dataset
from ..sampling.points import REDRAWN
from .aligned import SKIPPED, total
from .checks import check_views
from .open_views import refuse_views, views_as
from .run import FORMATTING, Run
from .tokens import ShortRuns, SizedProcessor, repeated_tokens

logger = logging.get_logger("llamafactory.depthlm")

_TURN = [{"role": Value("string"), "content": Value("string")}]
_ALIGNED = Features(
    {
        "_prompt": _TURN,
        "_response": _TURN,
        "_system": Value("string"),
        "_tools": Value("string"),
        "_images": Sequence(Value("string")),
        "_videos": Value("null"),
        "_audios": Value("null"),
        SKIPPED: Value("string"),
    }
)


def get_merged_dataset_with(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return LLaMA-Factory's `_get_merged_dataset`, loading depth datasets itself."""

    @wraps(original)
    def _get_merged_dataset(
        dataset_names: list[str] | None,
        model_args: Any,
        data_args: Any,
        training_args: Any,
        stage: str,
        return_dict: bool = False,
    ) -> Any:
        run: Run | None = getattr(data_args, "depthlm_run", None)
        args = (model_args, data_args, training_args, stage)
        if run is None or not dataset_names:
            return original(dataset_names, *args, return_dict=return_dict)
        train = dataset_names is not data_args.eval_dataset
        loaded = {}
        for name in dataset_names:
            if name in run.datasets:
                loaded[name] = _load(name, run, train, *args[:3])
            else:
                loaded |= original([name], *args, return_dict=True)
                refuse_views(name, loaded[name])
        kept: dict[str, Dataset] | None = getattr(data_args, "depthlm_aligned", None)
        if kept is not None and not train:
            kept.update((name, loaded[name]) for name in loaded if name in run.datasets)
        if return_dict:
            return loaded
        return data_utils.merge_dataset(list(loaded.values()), data_args, seed=training_args.seed)

    return _get_merged_dataset


def _load(
    name: str, run: Run, train: bool, model_args: Any, data_args: Any, training_args: Any
) -> Dataset:
    """Return the aligned samples of a depth dataset, reporting what was left out and why."""
    (attr,) = get_dataset_list([name], {name: run.datasets[name]})
    planner = attr.depthlm_planner = run.planner(name, train=train)
    open_dataset(run.records_path(name), planner.stated)
    rows = _raw_rows(run.records_path(name), model_args.cache_dir)
    rows = _select(rows, attr.num_samples, data_args.max_samples, planner.config.seed)
    samples = rows.map(
        lf_converter.get_dataset_converter(FORMATTING, attr, data_args),
        batched=True,
        batch_size=100,
        remove_columns=rows.column_names,
        features=_ALIGNED,
        num_proc=data_args.preprocessing_num_workers,
        load_from_cache_file=not data_args.overwrite_cache
        or training_args.local_process_index != 0,
        desc=f"Converting {name} for {'training' if train else 'evaluation'}",
    )
    _report(name, len(rows), samples, total(samples[SKIPPED]))
    if any(not images for images in samples["_images"]):
        samples = samples.filter(bool, input_columns="_images", desc="Dropping skipped records")
    if not len(samples):
        raise DepthLMError(f"dataset {name!r} has no usable record; see the counts above")
    return samples.remove_columns(SKIPPED)


def _report(name: str, records: int, samples: Dataset, counts: Counter[str]) -> None:
    used = sum(bool(images) for images in samples["_images"])
    lines = [f"depthlm: {name}: {records} records, {used} samples"]
    lines += [f"  {count:7d}  {reason}" for reason, count in counts.most_common()]
    level = logger.info_rank0 if set(counts) <= {REDRAWN} else logger.warning_rank0
    level("\n".join(lines))


def _raw_rows(path: str, cache_dir: str | None) -> Dataset:
    """Return the records of a file as rows of JSON text, on disk and shared by all ranks.

    `datasets` would infer one schema from the first rows and fail, or lose keys, on later ones.
    """
    stamps = [_stamp(file) for file in record_files(path) if storage.is_file(file)]
    try:
        return Dataset.from_generator(
            _generate,
            gen_kwargs={"path": path, "stamps": stamps},
            cache_dir=cache_dir,
            features=Features(
                {
                    "where": Value("string"),
                    "row": Value("int64"),
                    "epoch": Value("int64"),
                    "record": Value("string"),
                }
            ),
        )
    except DatasetGenerationError as error:
        if isinstance(error.__cause__, DepthLMError):
            raise error.__cause__ from None
        raise


def _stamp(file: str) -> tuple[object, ...]:
    if storage.is_remote(file):
        return file, storage.size_bytes(file)
    return os.path.realpath(file), os.path.getsize(file), os.stat(file).st_mtime_ns


def _generate(path: str, stamps: list[Any]) -> Iterator[dict[str, Any]]:
    for row, (where, text) in enumerate(read_rows(path)):
        yield {"where": where, "row": row, "epoch": 0, "record": text}


def _select(rows: Dataset, num_samples: int | None, max_samples: int | None, seed: int) -> Dataset:
    """Return the rows that LLaMA-Factory's `num_samples` and `max_samples` leave.

    Asking for more records than there are repeats them, each time with other points and crops.
    """
    if num_samples is not None:
        generator = np.random.default_rng(seed)
        rounds = -(-num_samples // len(rows))
        order = np.concatenate([generator.permutation(len(rows)) for _ in range(rounds)])
        epochs = np.arange(num_samples) // len(rows)
        rows = rows.select(order[:num_samples]).remove_columns("epoch")
        rows = rows.add_column("epoch", epochs)
    if max_samples is not None:
        rows = rows.select(range(min(max_samples, len(rows))))
    return rows


def get_preprocessed_dataset_with(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return LLaMA-Factory's `_get_preprocessed_dataset`, checked and without decoding images."""

    @wraps(original)
    def _get_preprocessed_dataset(
        dataset: Any,
        data_args: Any,
        training_args: Any,
        stage: str,
        template: Any,
        tokenizer: Any,
        processor: Any = None,
        is_eval: bool = False,
    ) -> Any:
        args = (data_args, training_args, stage, template, tokenizer, processor)
        run: Run | None = getattr(data_args, "depthlm_run", None)
        if run is None or dataset is None:
            return original(dataset, *args, is_eval=is_eval)
        uri = check_views(dataset, run, data_args, template, tokenizer, processor)
        if uri is None:
            return original(dataset, *args, is_eval=is_eval)
        with views_as("shapes"):
            sized = SizedProcessor(processor)
            tokens = repeated_tokens(template.mm_plugin, uri, tokenizer, sized)
            args = (data_args, training_args, stage, template, ShortRuns(tokenizer, tokens), sized)
            return original(dataset, *args, is_eval=is_eval)

    return _get_preprocessed_dataset
