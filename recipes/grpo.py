"""Trains a model that answers metric depth further, by reinforcement: TRL's GRPO with our rewards.

Hardware: weights, gradients and AdamW take 8 to 16 bytes a parameter; memory was not measured.
Data:     records (README, "Your data").
Run:      python recipes/grpo.py --model merged --records data/train.jsonl --depth_kind z \
              --output_dir saves/grpo --num_generations 8 --learning_rate 1e-6 --bf16
Often:    any option of TRL's GRPOConfig; --help lists them.
Then:     llamafactory-cli train recipes/depthlm_qwen_eval.yaml finetuning_type=full \
              model_name_or_path=saves/grpo adapter_name_or_path=null
"""

from dataclasses import dataclass

from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer, TrlParser

from depthlm_plugin import DepthSamples, rewards
from depthlm_plugin.config.block import DepthLMConfig
from depthlm_plugin.config.saved import load_config, save_config


@dataclass
class Task:
    """What is trained, on what."""

    model: str  # a folder; its depthlm_config.json says how pictures are shown
    records: str
    depth_kind: str | None = None  # of records that do not say
    size_multiple: int = 28  # patch x merge of the model, pixels: 28 Qwen2.5-VL, 32 Qwen3-VL


def train(model, rows, settings, reward_funcs=(rewards.delta1, rewards.negative_abs_rel)):
    """Return TRL's trainer after training on rows of `rewards.grpo_rows`."""
    data = Dataset.from_list(list(rows))
    trainer = GRPOTrainer(
        model=model, reward_funcs=list(reward_funcs), args=settings, train_dataset=data
    )
    trainer.train()
    return trainer


if __name__ == "__main__":
    task, settings = TrlParser((Task, GRPOConfig)).parse_args_and_config()
    config = load_config(task.model) or DepthLMConfig()
    samples = DepthSamples(
        task.records, depth_kind=task.depth_kind, train=True, size_multiple=task.size_multiple,
        **config.to_dict(),
    )  # fmt: skip
    train(task.model, rewards.grpo_rows(samples), settings).save_model()
    save_config(config, settings.output_dir)
