"""Trains without preparing data: samples are planned and tokenised where they are loaded.

LLaMA-Factory converts, tokenises and caches every sample before the first step. Here the loader's
workers do it for the samples that they are asked for, with LLaMA-Factory's own code, from rows that
stay on disk. Nothing is cached, every epoch draws new points and crops, and an epoch's place in the
data follows from its number, so a resumed run goes on where it was.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from datasets import Dataset as RowsOfData
from llamafactory.data import loader
from llamafactory.extras import logging
from torch.utils.data import Dataset, Sampler

from ..config.mixtures import preset_weight
from ..config.saved import saved_data
from ..errors import ConfigError
from ..recipe.doors import once_and_weighted
from ..records.units import open_dataset
from ..sampling.mixture import Mixture, Permutation
from ..sampling.sample import Sample
from ..sampling.stream import SampleStream
from ..seeds import seed_of
from .aligned import aligned_columns
from .board import untruncated
from .checks import check_views
from .open_views import views_as
from .run import Run, dataset_info
from .tokens import ShortRuns, SizedProcessor, repeated_tokens

logger = logging.get_logger("llamafactory.depthlm")

_LOOKED_AT = 16  # samples of each dataset that settings are checked against before training


class DepthSource:
    """A depth dataset whose samples are tokenised when they are asked for.

    Attributes:
        name: Name of the dataset.
        count: Its samples in one epoch.
    """

    def __init__(
        self, name: str, count: int, stream: SampleStream, run: Run, encoder: Any, cutoff_len: int
    ) -> None:
        self.name, self.count = name, count
        self.stream = stream
        self._run, self._encoder, self._cutoff_len = run, encoder, cutoff_len

    def __getitem__(self, rank: int) -> dict[str, Any]:
        """Return what LLaMA-Factory's collator takes, for the sample of this rank."""
        sample = self.stream[rank]
        self._check_size(sample)
        with views_as("shapes"):
            columns = self._encoder.preprocess_dataset(aligned_columns([sample]))
        features = {name: values[0] for name, values in columns.items()}
        if len(features["input_ids"]) >= self._cutoff_len:
            raise ConfigError(
                f"{sample.where}: the sample takes {len(features['input_ids'])} tokens or more, but"
                f" cutoff_len is {self._cutoff_len}: its answer would be cut off; raise cutoff_len"
            )
        return features

    def set_shuffle(self, shuffle: bool) -> None:
        """Set whether passes over the data have random orders."""
        self.stream.shuffle = shuffle

    def _check_size(self, sample: Sample) -> None:
        width, height = sample.view.size_wh
        problem = self._run.grid.problem((width, height))
        if problem:
            raise ConfigError(
                f"{sample.where}: a view of {width}x{height} {problem}: the model's processor would"
                " resample it and change the focal length; change focal_px or the crop to fit"
            )


class OtherSource:
    """A dataset without depth, as LLaMA-Factory has prepared it.

    Attributes:
        name: Name of the dataset.
        count: Its samples in one epoch.
    """

    def __init__(self, name: str, rows: Any, seed: int) -> None:
        self.name, self.count = name, len(rows)
        self._rows, self._seed, self._shuffle = rows, seed, True

    def __getitem__(self, rank: int) -> dict[str, Any]:
        """Return the row of this rank."""
        visit, position = divmod(rank, self.count)
        if self._shuffle:
            order = Permutation(self.count, seed_of(self._seed, self.name, "order", visit))
            position = order[position]
        row: dict[str, Any] = self._rows[position]
        return row

    def set_shuffle(self, shuffle: bool) -> None:
        """Set whether passes over the data have random orders."""
        self._shuffle = shuffle


Source = DepthSource | OtherSource


class LazySamples(Dataset):
    """The training data of a run, of any size, which gives the collator's features by index.

    Index `epoch * len(self) + i` is the i-th sample of an epoch.

    Args:
        sources: The datasets.
        weights: Their weights; by default every epoch takes each dataset's samples once.
        length: Samples of an epoch; by default all of them.
        seed: Where the mixture starts.
    """

    def __init__(
        self,
        sources: list[Source],
        weights: list[float] | None,
        length: int | None,
        seed: int,
    ) -> None:
        self.sources = sources
        self.weights = weights or [float(source.count) for source in sources]
        self._length = length or sum(source.count for source in sources)
        self._mixture = Mixture(self.weights, seed_of(seed, "mixture"))
        self.epoch = 0

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> dict[str, Any]:
        number, rank = self._mixture[index]
        return self.sources[number][rank]

    def description(self) -> dict[str, Any]:
        """Return what a resumed run must find unchanged, for its samples to be the same."""
        return {
            "samples_per_epoch": len(self),
            "datasets": {
                source.name: {"samples": source.count, "weight": weight}
                for source, weight in zip(self.sources, self.weights, strict=True)
            },
        }

    def set_epoch(self, epoch: int) -> None:
        """Set which epoch a sampler of this dataset goes through next."""
        self.epoch = epoch

    def set_shuffle(self, shuffle: bool) -> None:
        """Set whether passes over the datasets have random orders (`disable_shuffling`)."""
        for source in self.sources:
            source.set_shuffle(shuffle)


class EpochSampler(Sampler[int]):
    """Goes through the current epoch's indices in order, for the dataset is in random order itself.

    The epoch is the dataset's: accelerate tells it to one or the other, whichever it finds.
    """

    def __init__(self, samples: LazySamples) -> None:
        self._samples = samples

    def __len__(self) -> int:
        return len(self._samples)

    def __iter__(self) -> Iterator[int]:
        first = self._samples.epoch * len(self._samples)
        return iter(range(first, first + len(self._samples)))

    def set_epoch(self, epoch: int) -> None:
        """Set which epoch comes next."""
        self._samples.set_epoch(epoch)


def lazy_samples(
    original: Callable[..., Any],
    run: Run,
    template: Any,
    model_args: Any,
    data_args: Any,
    training_args: Any,
    tokenizer: Any,
    processor: Any,
) -> LazySamples:
    """Return the training data of a run.

    Args:
        original: LLaMA-Factory's `get_dataset`, which prepares the datasets without depth.
        run: The run.
        template: LLaMA-Factory's chat template, and its arguments and processors for the rest.
        model_args: Its model arguments.
        data_args: Its data arguments.
        training_args: Its training arguments.
        tokenizer: The model's tokenizer.
        processor: The model's processor.
    """
    sources: list[Source] = []
    encoder, of_depth = None, untruncated(data_args)
    for name in data_args.dataset:
        if name not in run.datasets:
            alone = copy.copy(data_args)
            alone.dataset, alone.eval_dataset, alone.interleave_probs = [name], None, None
            alone.mix_strategy = "concat"
            module = original(
                template, model_args, alone, training_args, "sft", tokenizer, processor
            )
            sources.append(OtherSource(name, module["train_dataset"], run.config.seed))
            continue
        planner = run.planner(name, train=True)
        stream = SampleStream(
            planner,
            open_dataset(run.records_path(name), planner.stated),
            limit=data_args.max_samples,
        )
        uri = _check(stream, run, of_depth, template, tokenizer, processor)
        if encoder is None:
            encoder = _encoder(uri, template, of_depth, tokenizer, processor)
        count = run.datasets[name].get("num_samples")
        count = stream.per_pass if count is None else int(count) * stream.points
        sources.append(DepthSource(name, count, stream, run, encoder, of_depth.cutoff_len))
    weights = _weights(sources, run, data_args)
    samples = LazySamples(sources, weights, _length(sources, weights, data_args), run.config.seed)
    _check_resumed(samples, training_args)
    _say(samples)
    if training_args.should_log and encoder is not None:
        print("training example:")  # as LLaMA-Factory does
        encoder.print_data_example(samples[0])
    return samples


def _check(
    stream: SampleStream, run: Run, data_args: Any, template: Any, tokenizer: Any, processor: Any
) -> str:
    """Check settings against some samples of a dataset, and return the view of one of them."""
    step = max(1, stream.per_pass // _LOOKED_AT)
    samples = [stream[k] for k in range(0, stream.per_pass, step)][:_LOOKED_AT]
    rows = RowsOfData.from_dict(aligned_columns(samples))
    stream.looked_at = 0
    stream.counts.clear()
    uri = check_views(rows, run, data_args, template, tokenizer, processor)
    assert uri is not None  # depth samples have views
    return uri


def _encoder(uri: str, template: Any, data_args: Any, tokenizer: Any, processor: Any) -> Any:
    """Return LLaMA-Factory's own tokenisation of SFT samples, given sizes instead of pixels."""
    sized = SizedProcessor(processor)
    with views_as("shapes"):
        tokens = repeated_tokens(template.mm_plugin, uri, tokenizer, sized)
    short = ShortRuns(tokenizer, tokens)
    return loader._get_dataset_processor(data_args, "sft", template, short, sized)


def _weights(sources: list[Source], run: Run, data_args: Any) -> list[float] | None:
    """Return the weights that the recipe gives, in whichever place, or None for those by size."""
    names = [source.name for source in sources]
    if data_args.interleave_probs is not None:
        return [float(weight) for weight in data_args.interleave_probs]
    info = dataset_info(data_args)
    options = {name: info[name].get("depthlm") or {} for name in names if name in info}
    given = {name: own["weight"] for name, own in options.items() if own.get("weight") is not None}
    if run.config.mixture is not None:
        preset = run.config.mixture
        given = {n: preset_weight(preset, n) for n in names if n in run.datasets} | given
    if not given:
        even = data_args.mix_strategy in ("interleave_under", "interleave_over")
        return [1.0] * len(names) if even else None  # in turn, as LLaMA-Factory does
    for closed in once_and_weighted(data_args.mix_strategy):
        raise ConfigError(f"depthlm: {closed}")
    missing = [name for name in names if name not in given]
    if missing:
        raise ConfigError(
            f"weights are given for {', '.join(given)} but not for {', '.join(missing)}; give each"
            ' dataset a "weight" in its depthlm object of dataset_info.json, or none of them'
        )
    for name, weight in given.items():
        if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not weight > 0:
            raise ConfigError(
                f"dataset {name!r}: weight must be a positive number, found {weight!r}; remove the"
                " dataset from the recipe instead of giving it no weight"
            )
    return [float(given[name]) for name in names]


def _length(sources: list[Source], weights: list[float] | None, data_args: Any) -> int | None:
    """Return the samples of an epoch: until the first (or last) dataset has been gone through."""
    if weights is None or not data_args.mix_strategy.startswith("interleave"):
        return None
    rounds = [source.count / weight for source, weight in zip(sources, weights, strict=True)]
    chosen = min(rounds) if data_args.mix_strategy.startswith("interleave_under") else max(rounds)
    return max(1, int(chosen * sum(weights)))


def _check_resumed(samples: LazySamples, training_args: Any) -> None:
    checkpoint = getattr(training_args, "resume_from_checkpoint", None)
    if not isinstance(checkpoint, str) or not Path(checkpoint).is_dir():
        return
    saved, now = saved_data(checkpoint), samples.description()
    if saved is not None and saved != now:
        raise ConfigError(
            f"cannot resume {checkpoint}: its training data was other data, so the run would not go"
            f" on where it was; then: {saved}; now: {now}. Restore it, or start a new output_dir"
            " (from these weights: adapter_name_or_path)"
        )


def _say(samples: LazySamples) -> None:
    whole = sum(samples.weights)
    lines = [f"depthlm: {len(samples)} samples an epoch, made while training:"]
    for source, weight in zip(samples.sources, samples.weights, strict=True):
        kind = "records" if isinstance(source, DepthSource) else "samples"
        have = len(source.stream.rows) if isinstance(source, DepthSource) else source.count
        lines.append(f"  {weight / whole:7.2%}  {source.name}: {have} {kind}")
    logger.info_rank0("\n".join(lines))
