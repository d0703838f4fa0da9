"""Pre-train the tiny base: a model that sees, answers in the format, and knows no physics.

It learns the number, colors and positions of blocks, and never sees what falls or where the red
block belongs (physrl/data/describe.py).

    python -m jobs.pretrain_tiny --out runs/tiny-base
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import json
import math
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from rich.progress import track

from physrl.data.collate import Collator
from physrl.data.describe import Description, describe, vocabulary
from physrl.environments.renderer import TinyRenderer
from physrl.models.logprobs import completion_logprobs
from physrl.models.tiny import IMAGE_SIZE, TAGS, build_tiny, save_checkpoint
from physrl.tasks import TASKS
from physrl.tasks.task import question_text
from physrl.training_records import TrainingExample
from physrl.types import Prompt

CHUNK = 250
"""Images that a process renders at a time."""


def main(
    out: Annotated[Path, typer.Option(help="Output folder of the checkpoint.")],
    steps: Annotated[int, typer.Option(help="Optimizer steps.")] = 4000,
    images: Annotated[int, typer.Option(help="Training images to render.")] = 24_000,
    images_per_step: Annotated[int, typer.Option(help="Images per step.")] = 16,
    questions: Annotated[int, typer.Option(help="Questions per image.")] = 4,
    lr: Annotated[float, typer.Option(help="Peak learning rate.")] = 2.5e-3,
    seed: Annotated[int, typer.Option(help="Seed of weights, images and order.")] = 0,
) -> None:
    """Render images, train on questions about them, and write a Hugging Face checkpoint."""
    start = time.monotonic()
    prompts = [question_text(task, reasoning=r) for task in TASKS.values() for r in (False, True)]
    model, processor = build_tiny([*vocabulary(), *prompts, "Yes No user assistant", *TAGS], seed)
    collator = Collator(processor)
    described = render(seed, images)
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: cosine(step, steps))
    losses: list[float] = []
    for step, batch in enumerate(batches(described, images_per_step, questions, seed, collator)):
        if step == steps:
            break
        inputs = collator(batch)
        logprobs, _ = completion_logprobs(model, inputs, banned=())
        loss = -logprobs.sum() / inputs.completion_mask.sum()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        if (step + 1) % 100 == 0:
            seconds = time.monotonic() - start
            print(
                f"step {step + 1}/{steps}  loss {np.mean(losses[-100:]):.4f}  {seconds:.0f} s",
                flush=True,
            )
        if (step + 1) % 1000 == 0:
            save_checkpoint(model, processor, out)
    save_checkpoint(model, processor, out)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    total = round(time.monotonic() - start)
    print(json.dumps({"parameters": parameters, "loss": np.mean(losses[-100:]), "seconds": total}))


def render(seed: int, images: int) -> list[Description]:
    """Render all images with their questions, on every core."""
    starts = range(0, images, CHUNK)
    with ProcessPoolExecutor(mp_context=get_context("forkserver")) as pool:
        chunks = pool.map(_render_chunk, [(seed, s, min(s + CHUNK, images)) for s in starts])
        return [each for chunk in track(chunks, "Rendering", len(starts)) for each in chunk]


def batches(
    described: list[Description], images: int, questions: int, seed: int, collator: Collator
) -> Iterator[list[TrainingExample]]:
    """Yield batches of random images, each with a few of its questions, endlessly."""
    rng = np.random.default_rng(seed)
    while True:
        batch = []
        for index in rng.choice(len(described), images, replace=False):
            each = described[index]
            for q in choose_questions(rng, each.questions, questions):
                prompt = Prompt.ask(f"{index}/{q}", each.questions[q], each.image)
                batch.append(TrainingExample(prompt, collator.completion_ids(each.answers[q])))
        yield batch


def choose_questions(
    rng: np.random.Generator, questions: tuple[str, ...], count: int
) -> NDArray[np.int64]:
    """Choose mostly questions about positions, the hardest to learn; others need few examples."""
    weights = np.array(
        [1.0 if "How far" in q else 0.5 if "Where" in q else 0.15 for q in questions]
    )
    chosen: NDArray[np.int64] = rng.choice(
        len(questions), min(count, len(questions)), replace=False, p=weights / weights.sum()
    )
    return chosen


def cosine(step: int, steps: int, warmup: float = 0.03) -> float:
    """Compute the learning rate's factor: linear warm-up, then cosine decay to zero."""
    if step < warmup * steps:
        return (step + 1) / (warmup * steps)
    return 0.5 * (1 + math.cos(math.pi * min(step / steps, 1.0)))


def _render_chunk(job: tuple[int, int, int]) -> list[Description]:
    seed, start, stop = job
    renderer = TinyRenderer()
    try:
        return [describe(seed, index, renderer, IMAGE_SIZE) for index in range(start, stop)]
    finally:
        renderer.close()


if __name__ == "__main__":
    typer.run(main)
