"""Several GPUs: the section that a recipe gets for ZeRO, FSDP2 or Ray, and how it is started."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Variant:
    """One way to use several GPUs.

    Attributes:
        title: What it does.
        command: How a recipe at {path} is started.
        section: The keys that it takes, YAML.
    """

    title: str
    command: str
    section: str

    def text(self, planned: bool) -> str:
        """Return the section of a recipe, whose batch is `planned` for several GPUs or for one."""
        divide = "" if planned else f"# {_DIVIDE}\n"
        return f"### several GPUs: {self.title}\n{divide}{self.section}".rstrip()


_DIVIDE = "Each GPU takes a batch: divide gradient_accumulation_steps by the number of GPUs."
_TORCHRUN = "FORCE_TORCHRUN=1 llamafactory-cli train {path}"
_DEEPSPEED = """\
deepspeed:                     # auto: as the rest of the recipe says
  train_micro_batch_size_per_gpu: auto
  gradient_accumulation_steps: auto
  gradient_clipping: auto
  zero_allow_untested_optimizer: true
  bf16: {enabled: auto}
  zero_optimization:
"""

VARIANTS = {
    "zero2": Variant(
        "DeepSpeed ZeRO-2 divides gradients and optimizer (pip install deepspeed)",
        _TORCHRUN,
        _DEEPSPEED
        + """\
    stage: 2
    overlap_comm: true
    contiguous_gradients: true
""",
    ),
    "zero3": Variant(
        "DeepSpeed ZeRO-3 divides weights too (pip install deepspeed)",
        _TORCHRUN,
        _DEEPSPEED
        + """\
    stage: 3
    overlap_comm: true
    contiguous_gradients: true
    reduce_bucket_size: auto
    stage3_prefetch_bucket_size: auto
    stage3_param_persistence_threshold: auto
    stage3_gather_16bit_weights_on_model_save: true
""",
    ),
    "fsdp2": Variant(
        "FSDP2 divides weights, gradients and optimizer",
        _TORCHRUN,
        """\
fsdp: full_shard auto_wrap
fsdp_config: {version: 2}
""",
    ),
    "ray": Variant(
        "Ray starts the workers, one a GPU",
        "USE_RAY=1 llamafactory-cli train {path}",
        "ray_num_workers: 2            # how many GPUs\n",
    ),
}
