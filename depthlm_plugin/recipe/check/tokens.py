"""Checks of what the base's own tokenizer makes of numbers and answers; no weights are needed."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from ...config.block import DepthLMConfig
from ...language.template import Template
from ...language.templates import load_template
from ...tasks import TASKS, Task, Truth
from ..plan import TEXT_TOKENS
from .finding import Finding, error, warning
from .settings import Settings, cached_folder
from .views import HOST_CUTOFF, LEAST_TEXT

NUMBER = "12.34"  # metres as answers write them
_DIGITS = "2748"  # no year, no round number: nothing that a vocabulary would hold as a whole
_HOST_NEW_TOKENS = 1024  # LLaMA-Factory's max_new_tokens
_CHAT_TEMPLATES = ("chat_template.jinja", "chat_template.json")
_CONFIGS = ("tokenizer_config.json", "processor_config.json")  # older models have it in one of them
_AROUND = 20  # tokens that a chat template puts around one question and its answer


def tokenizer_of(recipe: Settings) -> tuple[Any, str]:
    """Return the base's tokenizer, or None and why there is none."""
    name = str(recipe.get("model_name_or_path") or "")
    folder = recipe.seen.folder or cached_folder(name)
    if folder is None:
        return None, f"{name} is not here (hf download {name} tokenizer.json)"
    path = folder / "tokenizer.json"
    if not path.is_file():
        return None, f"there is no {path}"
    return _loaded(str(path))


@cache
def _loaded(path: str) -> tuple[Any, str]:
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_file(path), ""
    except Exception as problem:  # the library raises nothing more exact
        return None, f"{path} cannot be read ({str(problem)[:100]})"


def tokens_in(text: str, tokenizer: Any) -> int:
    """Return how many tokens a text takes."""
    return len(tokenizer.encode(text, add_special_tokens=False).ids)


def are_digits_single(tokenizer: Any) -> bool:
    """Return whether every digit is a token of its own, behind another one at least."""
    return tokens_in("0" + _DIGITS, tokenizer) - tokens_in("0", tokenizer) == len(_DIGITS)


def answer_tokens(config: DepthLMConfig, tokenizer: Any) -> int:
    """Return the tokens of the longest answer, of all tasks."""
    return max(tokens_in(_told(TASKS[task], config), tokenizer) for task in config.tasks)


def digits_are_single(recipe: Settings) -> Iterator[Finding]:
    """Yield a tokenizer that takes several digits as one token."""
    tokenizer, _ = tokenizer_of(recipe)
    if tokenizer is not None and not are_digits_single(tokenizer):
        yield warning(
            "model_name_or_path",
            f"its tokenizer merges digits ({_DIGITS} takes {tokens_in(_DIGITS, tokenizer)} tokens):"
            " near numbers then share no tokens, and metres are harder to learn than from a base"
            " with one token a digit",
        )


def answers_fit(recipe: Settings) -> Iterator[Finding]:
    """Yield answers that are longer than what is generated, or cut off in training."""
    tokenizer, _ = tokenizer_of(recipe)
    config = recipe.config
    if tokenizer is None or config is None:
        return
    longest = answer_tokens(config, tokenizer)
    most = int(recipe.number("max_new_tokens", _HOST_NEW_TOKENS))
    if recipe.get("predict_with_generate") and longest + 1 > most:
        yield error(
            "max_new_tokens",
            f"the longest answer takes {longest} tokens and its end one more, {most} are generated",
            f"max_new_tokens: {-(-(longest + 8) // 32) * 32}",
        )
    load, questions = recipe.load, config.questions_per_image
    if not recipe.trains or load is None:
        return
    images = load.tokens - TEXT_TOKENS * (1 + questions)
    asked = max(_asked(TASKS[task], config, tokenizer) for task in config.tasks)
    needed = images + questions * (asked + longest + _AROUND)
    cutoff = int(recipe.number("cutoff_len", HOST_CUTOFF))
    if images + LEAST_TEXT * questions <= cutoff < needed:  # else `samples_fit` says so
        yield error(
            "cutoff_len",
            f"the largest sample takes {images} image tokens, its questions {asked} each and their"
            f" answers {longest}: cutoff_len {cutoff} would cut answers off",
            f"cutoff_len: {-(-needed // 128) * 128}",
        )


def _told(task: Task, config: DepthLMConfig) -> str:
    others = dict.fromkeys((*task.worked, *task.given), float(NUMBER))
    words = dict.fromkeys(task.words, "backward")
    values = {name: 10 * value for name, value in task.example.items()}
    return _template(task, config).tell(Truth(values, told=others, words=words))


def _asked(task: Task, config: DepthLMConfig, tokenizer: Any) -> int:
    template = _template(task, config)
    fields = {"color": config.marker_color, "marker": config.marker, "x": 1234, "y": 1234}
    point = template.name_point(config.reference, **fields, number=1)
    given = dict.fromkeys(task.given, float(NUMBER))
    count = len(template.questions)
    return max(
        tokens_in(template.ask([point] * task.points, given, number / count), tokenizer)
        for number in range(count)
    )


def _template(task: Task, config: DepthLMConfig) -> Template:
    return load_template(task.name, config.prompt)


def base_can_chat(recipe: Settings) -> Iterator[Finding]:
    """Yield a base that comes without a chat template: one that was not taught to answer."""
    name = str(recipe.get("model_name_or_path") or "")
    folder = recipe.seen.folder or cached_folder(name)
    if folder is None or any((folder / file).is_file() for file in _CHAT_TEMPLATES):
        return
    paths = [path for path in (folder / file for file in _CONFIGS) if path.is_file()]
    if paths and not any('"chat_template"' in path.read_text("utf-8") for path in paths):
        yield warning(
            "model_name_or_path",
            f"{name} comes without a chat template: it was not taught to answer, and the marks of"
            f" {recipe.get('template')} around questions mean nothing to it; take its -Instruct"
            " or -it model",
        )
