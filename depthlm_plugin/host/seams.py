"""The places where LLaMA-Factory is extended, all of them, and what happens when one has moved.

Each seam is one name in one module. A seam that is not as expected breaks nothing at import: it is
noted, and the first run that uses depth data ends with one error that names it.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from ..errors import HostError

KNOWN_GOOD = ("0.9.5",)

broken: dict[str, str] = {}
"""Seams that are not as expected: name -> what is wrong."""


def install(module: ModuleType) -> None:
    """Extend one freshly imported LLaMA-Factory module; safe to call again."""
    for name, parameters, extend in _SEAMS[module.__name__]:
        seam = f"{module.__name__}.{name}"
        try:
            original = _lookup(module, name)
            if getattr(original, "_depthlm", False):
                continue
            _check_parameters(original, parameters)
            extend(module, original)
        except Exception as error:  # whatever it is, runs without depth data must go on
            broken[seam] = str(error) or repr(error)


def require() -> None:
    """Raise one clear error when LLaMA-Factory is not the one this package can extend."""
    if not broken:
        return
    from llamafactory import __version__ as version

    raise HostError(
        f"LLaMA-Factory {version} is not as depthlm-plugin expects it:\n"
        + "\n".join(f"  {seam}: {problem}" for seam, problem in sorted(broken.items()))
        + f"\nKnown to work: LLaMA-Factory {', '.join(KNOWN_GOOD)}. Install one of these"
        f' (pip install "llamafactory=={KNOWN_GOOD[-1]}") or a newer depthlm-plugin.'
    )


def _lookup(module: ModuleType, name: str) -> Any:
    target: Any = module
    for part in name.split("."):
        if not hasattr(target, part):
            raise HostError("is gone")
        target = getattr(target, part)
    return target


def _check_parameters(original: Any, parameters: tuple[str, ...]) -> None:
    found = tuple(inspect.signature(original).parameters)
    if found[: len(parameters)] != parameters:
        raise HostError(f"takes ({', '.join(found)}), expected ({', '.join(parameters)}, ...)")


def _replace(module: ModuleType, name: str, original: Any, new: Any) -> None:
    """Bind `name` to `new` wherever LLaMA-Factory holds the original by name."""
    new._depthlm = True
    setattr(module, name, new)
    for other_name, other in list(sys.modules.items()):
        if other_name.startswith("llamafactory.") and vars(other).get(name) is original:
            setattr(other, name, new)


def _arguments(module: ModuleType, original: Any) -> None:
    from .recipe_block import DataArguments

    _replace(module, "DataArguments", original, DataArguments)
    # Imported late: the parser has put the original class into its lists.
    parser = sys.modules.get("llamafactory.hparams.parser")
    for value in vars(parser).values() if parser else ():
        if isinstance(value, list) and original in value:
            value[value.index(original)] = DataArguments


def _converter(module: ModuleType, original: Any) -> None:
    from .aligned import DepthLMConverter

    if "depthlm" not in module.DATASET_CONVERTERS:
        original("depthlm", DepthLMConverter)


def _images(module: ModuleType, original: Any) -> None:
    from .open_views import regularize_images_with

    new = regularize_images_with(original)
    new._depthlm = True  # type: ignore[attr-defined]
    module.MMPluginMixin._regularize_images = new


def _collator(module: ModuleType, original: Any) -> None:
    from .collator import collate_with

    new = collate_with(original)
    new._depthlm = True  # type: ignore[attr-defined]
    module.MultiModalDataCollatorForSeq2Seq.__call__ = new


def _engine_init(module: ModuleType, original: Any) -> None:
    from .chat import engine_init_with

    new = engine_init_with(original)
    new._depthlm = True  # type: ignore[attr-defined]
    module.HuggingfaceEngine.__init__ = new


def _engine_inputs(module: ModuleType, original: Any) -> None:
    from .chat import process_args_with

    new = process_args_with(original)
    new._depthlm = True  # type: ignore[attr-defined]
    module.HuggingfaceEngine._process_args = staticmethod(new)


def _wrapped(name: str, maker: str) -> Callable[[ModuleType, Any], None]:
    """Return an `extend` that replaces function `name` by what `host.<module>:<function>` makes."""
    module_name, _, function = maker.partition(":")

    def extend(module: ModuleType, original: Any) -> None:
        from importlib import import_module

        make = getattr(import_module(f"{__package__}.{module_name}"), function)
        _replace(module, name, original, make(original))

    return extend


_SFT_TRAINER = ("self", "finetuning_args", "processor", "model_args", "gen_kwargs")
_LOADING = ("model_args", "data_args", "training_args", "stage")

# module -> (name, the parameters that it must begin with, how to extend it)
_SEAMS: dict[str, list[tuple[str, tuple[str, ...], Callable[[ModuleType, Any], None]]]] = {
    "llamafactory.hparams.data_args": [("DataArguments", ("template", "dataset"), _arguments)],
    "llamafactory.hparams.parser": [
        ("read_args", ("args",), _wrapped("read_args", "run:read_args_with")),
        ("get_infer_args", ("args",), _wrapped("get_infer_args", "run:get_infer_args_with")),
    ],
    "llamafactory.data.converter": [
        ("register_dataset_converter", ("name", "dataset_converter"), _converter)
    ],
    "llamafactory.data.mm_plugin": [
        ("MMPluginMixin._regularize_images", ("self", "images"), _images)
    ],
    "llamafactory.data.collator": [
        ("MultiModalDataCollatorForSeq2Seq.__call__", ("self", "features"), _collator)
    ],
    "llamafactory.data.loader": [
        (
            "get_dataset",
            ("template", *_LOADING, "tokenizer", "processor"),
            _wrapped("get_dataset", "run:get_dataset_with"),
        ),
        (
            "_get_merged_dataset",
            ("dataset_names", *_LOADING, "return_dict"),
            _wrapped("_get_merged_dataset", "prepared:get_merged_dataset_with"),
        ),
        (
            "_get_preprocessed_dataset",
            ("dataset", "data_args", "training_args", "stage", "template", "tokenizer"),
            _wrapped("_get_preprocessed_dataset", "prepared:get_preprocessed_dataset_with"),
        ),
    ],
    "llamafactory.chat.hf_engine": [
        ("HuggingfaceEngine.__init__", ("self", "model_args"), _engine_init),
        (
            "HuggingfaceEngine._process_args",
            ("model", "tokenizer", "processor", "template"),
            _engine_inputs,
        ),
    ],
    "llamafactory.train.sft.trainer": [
        (
            "CustomSeq2SeqTrainer.__init__",
            _SFT_TRAINER,
            lambda module, _: _wrapped("CustomSeq2SeqTrainer", "trainer:trainer_on")(
                module, module.CustomSeq2SeqTrainer
            ),
        )
    ],
}
