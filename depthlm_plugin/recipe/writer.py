"""A recipe's text, from what is known of its base: one body for all of them."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from .bases import BASES, Base
from .families import Family
from .flops import UTILISATION, card_of, duration
from .memory import LORA_RANK, Load
from .plan import CARDS, LARGE, Plan, described, learning_rate, load_of, plan, smallest
from .subjects import DEPTH, Subject
from .variants import VARIANTS

_COMMENT_COLUMN = 31
_WIDTH = 105  # of the texts in a recipe's head
_SHRINKS_FROM = 768 * 768  # LLaMA-Factory's image_max_pixels
_METHODS = {
    "lora": "Trains {base} to answer metric depth, with LoRA adapters on language model and vision"
    " tower.",
    "qlora": "Trains {base} to answer metric depth with QLoRA: 4-bit base weights (bitsandbytes),"
    " LoRA adapters.",
    "full": "Trains all of {base} to answer metric depth, vision tower included, as the paper"
    " does.",
}
METHODS = (*_METHODS, "eval")
_TOWER_SAVED = (
    "the default, said aloud: no adapters there, which saves",
    "the tower's activations. Set false to train it as well.",
)
_NO_PARTS = (
    "`all` are those of the tower and the merger too: LLaMA-Factory",
    "knows no parts of this model, and would freeze none.",
)


@dataclass(frozen=True)
class Recipe:
    """One recipe.

    Attributes:
        name: Its file's, without the suffix.
        base: What is trained, or the first of those that are evaluated.
        method: One of `METHODS`.
        subject: What is taught.
        family: How the base sees, if not as its family does.
        variant: One of `VARIANTS`, if not what the plan needs.
        chosen: How it uses which hardware, if not the smallest card that it fits.
        dataset: Names of the training data, if not the subject's.
        file: Where it is, if not in the repository.
        origin: Lines on where it comes from.
    """

    name: str
    base: Base
    method: str
    subject: Subject = DEPTH
    family: Family | None = None
    variant: str = ""
    chosen: Plan | None = None
    dataset: str = ""
    file: str = ""
    origin: tuple[str, ...] = ()

    @cached_property
    def view(self) -> Family:
        """How the base sees here."""
        return self.family or self.base.family

    @cached_property
    def load(self) -> Load:
        """What one sample of the largest views holds."""
        images, questions = self.subject.images, self.subject.questions
        return load_of(self.view, self.view.largest_wh, images, questions, self.method)

    @cached_property
    def plan(self) -> Plan:
        """Its hardware, and how it uses it; of a recipe that trains."""
        if self.chosen:
            return self.chosen
        return smallest(self.base.sizes, self.method, self.load)

    @property
    def path(self) -> str:
        """Of its file, as commands name it."""
        return self.file or f"recipes/{self.name}.yaml"

    def text(self) -> str:
        """Return the YAML."""
        return _evaluation(self) if self.method == "eval" else _training(self)


def _training(recipe: Recipe) -> str:
    base, view, subject, found = recipe.base, recipe.view, recipe.subject, recipe.plan
    sizes = base.sizes
    tokens = recipe.load.tokens
    variant = recipe.variant or _planned_variant(found)
    command = VARIANTS[variant].command if variant else "llamafactory-cli train {path}"
    head = [
        ("Hardware:", _hardware(recipe)),
        ("Data:", _data(recipe)),
        ("Run:", [command.format(path=recipe.path) + subject.run]),
        ("Often:", [subject.often.format(focal_px=round(view.focal_px * 0.075) * 10)]),
        ("Then:", _then(recipe)),
    ]
    if recipe.origin:
        head.insert(0, ("Written:", list(recipe.origin)))
    large = sizes.parameters > LARGE
    return _environment().get_template("train.j2").render(
        name=recipe.name,
        title=[line.format(base=base.name) for line in _title(recipe)],
        head=head,
        base=base,
        family=view,
        method=recipe.method,
        subject=subject,
        targets=textwrap.wrap(view.targets.replace(",", ", "), _WIDTH),
        frozen=not view.trains_tower(recipe.method),
        tower_note=_tower_note(recipe),
        block_note=("" if any(view.why) or subject != DEPTH else "defaults of the paper, ")
        + 'all keys: README, "The depthlm block"',
        plan=found,
        view_pixels=_area(view),
        view_note=_view_note(view),
        dataset=recipe.dataset or subject.dataset,
        tokens_note=_tokens_note(view, subject),
        cutoff_len=max(4096, _rounded_up(tokens)),
        lora_rank=LORA_RANK,
        learning_rate=learning_rate(recipe.method, sizes.parameters),
        learning_rate_note=(
            "not published; scale with the square root of the batch size"
            if recipe.method == "full"
            else "not published for LoRA; LLaMA-Factory's usual value"
            + (", halved for a large model" if large else "")
        ),
        variant=VARIANTS[variant].text(planned=found.gpus > 1) if variant else "",
        with_zero=variant.startswith("zero"),
        checkpoint_gb=(14 if found.zero else 12) * sizes.parameters / 1e9,
    )  # fmt: skip


def _tower_note(recipe: Recipe) -> tuple[str, ...]:
    """Return the comment on `freeze_vision_tower`, lines."""
    if not recipe.view.merger:
        return _NO_PARTS
    if recipe.view.tower or recipe.method != "qlora":
        return recipe.view.tower or recipe.subject.tower_note
    return _TOWER_SAVED


def _planned_variant(found: Plan) -> str:
    return f"zero{found.zero}" if found.zero else ""


def _evaluation(recipe: Recipe) -> str:
    base, view = recipe.base, recipe.view
    tokens = view.fixed_tokens or _most_tokens(view)
    weights_gb = 2 * base.sizes.parameters / 1e9
    head = [
        ("Hardware:", [f"the weights of {base.name} take {weights_gb:.1f} GB in bf16, each GPU."]),
        ("Data:", ["records listed in data/dataset_info.json as depthlm_eval; several:"
                   " eval_dataset=a,b"]),
        ("Run:", [f"llamafactory-cli train {recipe.path}"]),
        ("Often:", ["adapter_name_or_path=DIR  eval_dataset=a,b  depthlm.points_per_record=10"]),
        ("Merged:", ["finetuning_type=full model_name_or_path=DIR adapter_name_or_path=null"]),
    ]  # fmt: skip
    if view.eval_notes:
        head.insert(0, ("Views:", list(view.eval_notes)))
    others = [other for other in BASES if other.family == base.family and other != base]
    if others:
        head.append(("Others:", [_other(other) for other in others]))
    fixed = view.fixed_wh is not None
    return _environment().get_template("evaluate.j2").render(
        name=recipe.name,
        what=f"an adapter of {view.title}",
        head=head,
        base=base,
        family=view,
        view_note=(
            _view_note(view) if fixed
            else "evaluation shows whole images; a larger one is refused, with its size"
        ),
        tokens_note=(
            _tokens_note(view, DEPTH) if fixed
            else f"so many pixels take up to {tokens} image tokens"
        ),
        cutoff_len=max(4096, _rounded_up(tokens + 256)),
        batch=8 if base.sizes.parameters < 5e9 else 4 if base.sizes.parameters < 10e9 else 2,
    )  # fmt: skip


def _data(recipe: Recipe) -> list[str]:
    names = recipe.dataset.replace(",", ", ")
    return [line.format(dataset=names or recipe.subject.dataset) for line in recipe.subject.data]


def _title(recipe: Recipe) -> tuple[str, ...]:
    if recipe.subject.title:
        return recipe.subject.title
    if recipe.base.sizes.experts and recipe.method == "lora":
        return (
            "Trains {base} to answer metric depth, with LoRA adapters on attention and vision"
            " tower;",
            "its experts are no linear layers in transformers and stay as they are.",
        )
    title = _METHODS[recipe.method]
    if recipe.method == "lora" and recipe.view.tower:
        title = title.replace("language model and vision tower", "the language model")
    return (title,)


def _hardware(recipe: Recipe) -> list[str]:
    """Return where it runs, the estimate, and what fits on the next card."""
    found, family = recipe.plan, recipe.view
    several = f"{found.gpus} GPUs" if found.gpus > 1 else "one GPU"
    with_zero = "" if recipe.variant or not found.zero else f" with ZeRO-{found.zero}"
    each = " each" if found.gpus > 1 else ""
    text = (
        f"{several} of {found.card_gb} GB{with_zero}, bf16. An estimate of the memory"
        f"{each}, largest views: {described(found.memory)}; of the time: {taken(found)}."
    )
    lines = textwrap.wrap(text, _WIDTH)
    if not recipe.chosen:
        lines += _on_larger(recipe)
    return [*lines, *family.notes]


def _on_larger(recipe: Recipe) -> list[str]:
    """Return what the next larger card would allow."""
    found = recipe.plan
    for gpus, card_gb in CARDS:
        if gpus == found.gpus and card_gb > found.card_gb:
            other = plan(recipe.base.sizes, recipe.method, recipe.load, gpus, card_gb)
            if other.batch > found.batch:
                return [
                    f"With {card_gb} GB, faster: per_device_train_batch_size={other.batch}"
                    f" gradient_accumulation_steps={other.accumulation}"
                ]
    return []


def taken(found: Plan) -> str:
    """Return the estimate of time in words, with what it assumes."""
    card = card_of(found.card_gb)[0]
    return f"{duration(found.seconds)} per 1 000 samples ({card} at {UTILISATION:.0%} of its peak)"


def _then(recipe: Recipe) -> list[str]:
    """Return the command that evaluates what was trained, in lines."""
    first = next(base for base in BASES if base.family == recipe.base.family)
    evaluation = f"depthlm_{first.family.name}_eval"
    path = "eval.yaml" if recipe.file else f"recipes/{evaluation}.yaml"
    words = [f"llamafactory-cli train {path}"]
    if recipe.method == "full":
        words += [
            "finetuning_type=full",
            f"model_name_or_path=saves/{recipe.name}",
            "adapter_name_or_path=null",
        ]
    else:
        if recipe.base.path != first.path:
            words.append(f"model_name_or_path={recipe.base.path}")
        if recipe.name != f"depthlm_{first.stem}_lora":
            words.append(f"adapter_name_or_path=saves/{recipe.name}")
    fetched = [f"depthlm recipe show {evaluation} > {path}"] if recipe.file else []
    lines = [*fetched, words[0]]
    for word in words[1:]:
        if len(lines[-1]) + len(word) < _WIDTH:
            lines[-1] += f" {word}"
        else:
            lines[-1] += " \\"
            lines.append(f"    {word}")
    return lines


def _area(view: Family) -> int:
    return view.limit_wh[0] * view.limit_wh[1]


def _view_note(view: Family) -> str:
    what = "the view" if view.fixed_wh else "the largest crop"
    shrinks = f"; LLaMA-Factory's {_SHRINKS_FROM} would shrink it"
    note = "{}, {} x {}".format(what, *view.limit_wh)
    return note + (shrinks if _area(view) > _SHRINKS_FROM else "")


def _tokens_note(view: Family, subject: Subject) -> str:
    if view.fixed_tokens == 1:
        return "one image token: the language model sees pictures by cross-attention"
    tokens = subject.images * view.image_tokens(view.largest_wh)
    largest = "the view takes" if view.fixed_wh else "the largest crop takes"
    return subject.tokens_note.format(tokens=tokens, largest=largest)


def _other(base: Base) -> str:
    too_large = 2 * base.sizes.parameters > 75e9
    return f"model_name_or_path={base.path}" + ("  quantization_bit=4" if too_large else "")


def _most_tokens(view: Family) -> int:
    """Return the most image tokens that a view of `eval_pixels` takes, as its rows allow."""
    side = view.multiple
    patches = view.eval_pixels // side**2
    return patches + (round(patches**0.5) if view.row_tokens else 0)


def _rounded_up(tokens: int) -> int:
    return -(-tokens // 1024) * 1024


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["noted"] = _noted
    return environment


def _noted(line: str, note: Any) -> str:
    """Return a line with a comment in the column of comments, or without one."""
    return f"{line:{_COMMENT_COLUMN - 1}} # {note}" if note else line
