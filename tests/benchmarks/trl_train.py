"""Time of TRL's GRPOTrainer on given prompts, for `train.py`.

    .venv-peers/bin/python tests/benchmarks/trl_train.py PROMPTS.parquet --group 16 --prompts 16

Runs in an environment with TRL and without this project; under torch.distributed.run in several
processes. The reward costs nothing. Writes the seconds of every step after the warm-up as JSON.
"""

import argparse
import json
import os
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, Features, Image, Value
from transformers import (
    AutoModelForImageTextToText,
    AutoProcessor,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from trl import GRPOConfig, GRPOTrainer

MESSAGE = {"role": Value("string"), "content": Value("string")}
IMAGE_TOKENS = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")


class Clock(TrainerCallback):
    """A callback that records when each step ends."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self.ends.append(time.perf_counter())


def length_reward(completion_ids: list[list[int]], **_: Any) -> list[float]:
    """Compute a reward that differs within a group, at no cost."""
    return [float(sum(ids) % 7) for ids in completion_ids]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("prompts_file", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", default="assets/tiny-base")
    parser.add_argument("--group", type=int, default=16)
    parser.add_argument("--prompts", type=int, default=16, help="per step")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--warm-up", type=int, default=2, help="steps that do not count")
    parser.add_argument("--length", type=int, default=24, help="maximum completion length")
    parser.add_argument("--rate", type=float, default=5e-4)
    options = parser.parse_args()
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    clock = Clock()
    trainer(options, clock).train()
    seconds = [end - start for start, end in pairwise(clock.ends)]
    if os.environ.get("RANK", "0") == "0":
        options.out.write_text(json.dumps(seconds[options.warm_up - 1 :]))


def trainer(options: argparse.Namespace, clock: Clock) -> GRPOTrainer:
    processor = AutoProcessor.from_pretrained(options.model)
    banned = processor.tokenizer.convert_tokens_to_ids(list(IMAGE_TOKENS))
    settings = GRPOConfig(
        output_dir=str(options.out.parent / "trl"),
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        # One optimizer update a step, all of it in one forward pass.
        per_device_train_batch_size=(
            options.group * options.prompts // int(os.environ.get("WORLD_SIZE", "1"))
        ),
        num_generations=options.group,
        max_completion_length=options.length,
        max_steps=options.steps,
        learning_rate=options.rate,
        max_grad_norm=1.0,
        temperature=1.0,
        loss_type="grpo",
        beta=0.0,
        shuffle_dataset=False,
        generation_kwargs={"suppress_tokens": banned},
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    features = Features({"image": Image(), "prompt": [MESSAGE]})
    return GRPOTrainer(
        model=AutoModelForImageTextToText.from_pretrained(options.model, dtype=torch.float32),
        reward_funcs=length_reward,
        args=settings,
        train_dataset=Dataset.from_parquet(str(options.prompts_file), features=features),
        processing_class=processor,
        callbacks=[clock],
    )


if __name__ == "__main__":
    main()
