"""Checks of the machine: packages, precision, attention and memory."""

from __future__ import annotations

from collections.abc import Iterator

from ..plan import plan
from .facts import step_memory
from .finding import Finding, error, left_out, warning
from .settings import Settings

_QUANTISERS = {"bnb": "bitsandbytes", "bitsandbytes": "bitsandbytes", "hqq": "hqq", "eetq": "eetq"}
_REPORTS = {
    "wandb": "wandb",
    "tensorboard": "tensorboard",
    "swanlab": "swanlab",
    "trackio": "trackio",
    "mlflow": "mlflow",
    "comet_ml": "comet_ml",
    "clearml": "clearml",
    "neptune": "neptune",
}
_PACKAGES = {
    "deepspeed": "deepspeed",
    "enable_liger_kernel": "liger_kernel",
    "use_unsloth": "unsloth",
    "use_galore": "galore_torch",
    "use_apollo": "apollo_torch",
    "use_badam": "badam",
    "use_swanlab": "swanlab",
    "plot_loss": "matplotlib",
    "ray_num_workers": "ray",
}
"""Key -> the package that it needs."""
_AMPERE = 8.0  # the first compute capability with bfloat16
_TIGHT = 0.9  # of a card


def versions_are_right(recipe: Settings) -> Iterator[Finding]:
    """Yield versions with which depth runs would break, or be wrong."""
    if recipe.machine.problem:
        yield error("transformers", recipe.machine.problem)


def packages_are_installed(recipe: Settings) -> Iterator[Finding]:
    """Yield packages that the recipe needs and this environment lacks."""
    wanted = {key: package for key, package in _PACKAGES.items() if recipe.get(key)}
    if recipe.get("quantization_bit"):
        named = str(recipe.get("quantization_method") or "bnb")
        if named in _QUANTISERS:
            wanted["quantization_bit"] = _QUANTISERS[named]
    for key, package in wanted.items():
        if not recipe.machine.has(package):
            yield error(key, f"needs {package}, which is not installed: pip install"
                        f" {package.replace('_', '-')}", f"{key}: null")  # fmt: skip
    for name in recipe.names("report_to"):
        package = _REPORTS.get(name, "")
        if package and not recipe.machine.has(package):
            yield error("report_to", f"{name} is not installed: pip install"
                        f" {package.replace('_', '-')}", "report_to: none")  # fmt: skip


def attention_is_installed(recipe: Settings) -> Iterator[Finding]:
    """Yield flash attention that is asked for and not there."""
    if recipe.get("flash_attn") == "fa2" and not recipe.machine.has("flash_attn"):
        yield warning(
            "flash_attn",
            "flash-attn is not installed: LLaMA-Factory takes SDPA; pip install flash-attn, or"
            " leave it to auto",
            "flash_attn: auto",
        )


def precision_suits(recipe: Settings) -> Iterator[Finding]:
    """Yield a precision that is given twice, not at all, or that the card cannot compute in."""
    bf16 = recipe.get("bf16") or recipe.get("pure_bf16")
    if bf16 and recipe.get("fp16"):
        yield error("fp16", "bf16 and fp16 are both given; keep bf16", "fp16: false")
    if recipe.trains and not bf16 and not recipe.get("fp16"):
        yield warning("bf16", "neither bf16 nor fp16 is given: slow, with memory for 32 bits",
                      "bf16: true")  # fmt: skip
    capability = recipe.machine.capability
    if bf16 and capability is not None and capability < _AMPERE:
        yield warning(
            "bf16",
            f"a GPU of compute capability {capability:g} has no bfloat16 (8.0 and above have):"
            " torch emulates it, slowly; use another GPU",
        )


def memory_suffices(recipe: Settings) -> Iterator[Finding]:
    """Yield that the estimate (`recipe/memory.py`) does not fit into the card."""
    card_gb, load = recipe.machine.card_gb, recipe.load
    if not recipe.trains or recipe.method not in ("lora", "qlora", "full"):
        return
    if card_gb is None or load is None:
        yield left_out("memory", "no GPU is named (--gpu 24GB) or seen here"
                       if card_gb is None else "the base or its views are not known")  # fmt: skip
        return
    base = recipe.sized
    memory = step_memory(recipe, base) if base else None
    if base is None or memory is None:
        yield left_out("memory", "the sizes of the base are not known")
        return
    gpus, batch = recipe.gpus or 1, int(recipe.number("per_device_train_batch_size", 8))
    kept = bool(recipe.get("disable_gradient_checkpointing"))
    if memory.total_gb <= _TIGHT * card_gb:
        return
    text = (
        f"{base.name} with {recipe.method}, {batch} samples of the largest views on each of"
        f" {gpus} x {card_gb} GB: about {memory.total_gb:.0f} GB, by an estimate"
    )
    found = plan(base.sizes, recipe.method, load, gpus, card_gb)
    change = ""
    if found.fits and found.batch < batch:
        change = f"per_device_train_batch_size: {found.batch}"
        text += f"; {found.batch} x {found.accumulation} steps fit"
    elif kept:
        change = "disable_gradient_checkpointing: false"
    else:
        text += "; depthlm recipe new chooses what fits"
    finding = error if memory.total_gb > card_gb else warning
    yield finding("per_device_train_batch_size", text, change)
