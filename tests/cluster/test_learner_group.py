"""One rank and two ranks of DeepSpeed on gloo: the same losses and the same weights."""

from pathlib import Path

import numpy as np
import pytest
import ray
import torch

from cluster.learner_group import LearnerGroup
from physrl.algorithms.metrics import combine
from physrl.config.load import validate
from physrl.config.run import RunConfig
from physrl.environments.renderer import TinyRenderer
from physrl.tasks import TASKS
from physrl.tasks.task import make_prompt, make_scene
from physrl.types import Metrics, TrainingBatch, TrainingExample

TINY_BASE = Path(__file__).parents[2] / "assets" / "tiny-base"


def make_config(ranks: int, zero_stage: int, lora: bool) -> RunConfig:
    return validate(
        {
            "model": {"path": str(TINY_BASE), "lora": {"rank": 4} if lora else None},
            "algorithm": {
                "steps": 4,
                "lr": 1e-3,
                "max_grad_norm": 1.0,
                "importance_sampling_mode": "token_truncate",  # the made-up sampler is far off
            },
            "runtime": {
                "learner_ranks": ranks,
                "zero_stage": zero_stage,
                "tokens_per_micro_batch": 256,  # several micro-batches a rank
            },
        }
    )


def make_batch() -> TrainingBatch:
    """Eight made-up answers about four pictures, of different lengths and advantages."""
    task, settings = TASKS["place"], validate({}).environment
    renderer = TinyRenderer()
    scenes = [make_scene(task, settings, 0, "train", index) for index in range(4)]
    prompts = [make_prompt(task, scene, renderer, 84, reasoning=False) for scene in scenes]
    renderer.close()
    rng = np.random.default_rng(0)
    return TrainingBatch(
        tuple(
            TrainingExample(
                prompts[row // 2],
                tuple(rng.integers(20, 90, size=3 + row).tolist()),
                advantage=float(rng.normal()),
                sampling_logprobs=(-3.0,) * (3 + row),
            )
            for row in range(8)
        )
    )


def train(config: RunConfig) -> tuple[list[Metrics], dict[str, torch.Tensor]]:
    group = LearnerGroup(config.runtime)
    try:
        group.load(config)
        metrics = [group.update(make_batch(), step) for step in range(2)]
        return metrics, ray.get(group.weights())
    finally:
        group.stop()


@pytest.mark.parametrize(("zero_stage", "lora"), [(0, False), (2, True)])
def test_two_ranks_train_as_one(ray_cluster: None, zero_stage: int, lora: bool) -> None:
    one, weights_of_one = train(make_config(1, zero_stage, lora))
    two, weights_of_two = train(make_config(2, zero_stage, lora))
    for alone, together in zip(one, two, strict=True):
        assert together == pytest.approx(alone, rel=1e-4, abs=1e-6)
        assert together["grad_norm"] > 0
    # Adam divides by a gradient's size, so that rounding shows most where gradients are smallest;
    # an update moves a weight by up to 2e-3 here.
    for name, weight in weights_of_one.items():
        torch.testing.assert_close(weights_of_two[name], weight, atol=1e-4, rtol=0)


def test_shares_are_summed_and_maxima_are_not() -> None:
    shares = [{"loss": 1.0, "a/max": 3.0}, {"loss": 2.0, "a/max": 1.0}]
    assert combine(shares) == {"loss": 3.0, "a/max": 3.0}
