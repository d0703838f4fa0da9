"""Updates that are not finite change nothing, and too many of them end the run."""

import logging
import math
import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from physrl.algorithms.guard import Guard
from physrl.algorithms.update import Learner, poison_nonfinite
from physrl.config.load import validate
from physrl.data.collate import Collator
from physrl.errors import DivergedError, UserError
from physrl.models.engine import TorchEngine
from physrl.models.loading import load_model
from physrl.models.processor import load_processor
from physrl.training_records import TrainingBatch, TrainingExample
from physrl.types import Prompt
from tests.support.paths import TINY_BASE


def test_three_skipped_updates_in_a_row_end_the_run() -> None:
    guard = Guard()
    assert guard.applied(norm=1.0, loss=0.5, step=0)
    assert not guard.applied(norm=math.nan, loss=0.5, step=1)
    assert not guard.applied(norm=math.inf, loss=math.inf, step=2)
    assert guard.applied(norm=0.0, loss=0.5, step=3)  # resets the count
    assert not guard.applied(norm=math.nan, loss=math.nan, step=4)
    assert not guard.applied(norm=math.nan, loss=math.nan, step=5)
    with pytest.raises(DivergedError, match=r"step 7 .*loss nan.*algorithm\.lr") as caught:
        guard.applied(norm=math.nan, loss=math.nan, step=6)
    assert not isinstance(caught.value, UserError)  # exit code 1, not 2


def test_skipped_updates_are_logged_with_their_values(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        Guard().applied(norm=math.inf, loss=2.5, step=4)
    (message,) = caplog.messages
    assert re.search("step 5.*loss 2.5.*norm inf", message)


def test_a_nonfinite_loss_makes_the_whole_gradient_nan() -> None:
    # The infinite part carries no gradient: on its own it would leave one that looks sound.
    logprobs = torch.zeros(1, 2, requires_grad=True)
    loss = logprobs[0, 0] + math.inf
    poison_nonfinite(loss, logprobs).backward()
    assert logprobs.grad is not None
    assert logprobs.grad.isnan().all()
    sound = logprobs[0, 0] * 2
    assert poison_nonfinite(sound, logprobs) is sound


def make_batch(advantage: float) -> TrainingBatch:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (84, 84, 3), dtype=np.uint8)
    example = TrainingExample(Prompt.ask("p", "How many?", image), (21, 22, 23), advantage)
    others = tuple(
        replace(example, completion_ids=tuple(rng.integers(20, 90, size=4).tolist()))
        for _ in range(3)
    )
    return TrainingBatch((example, *(replace(each, advantage=1.0) for each in others)))


def test_a_bad_update_leaves_weights_and_optimizer_as_they_were() -> None:
    table = {"lr": 1e-3, "max_grad_norm": 1.0, "updates_per_rollout": 2, "prompts_per_step": 1}
    config = validate({"model": {"path": str(TINY_BASE)}, "algorithm": table | {"group_size": 4}})
    model = load_model(config.model)
    collator = Collator(load_processor(config.model.path))
    learner = Learner(TorchEngine(model, config.algorithm), collator, config)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    # The first example is in the first of two updates: the second is sound.
    metrics = learner.update(make_batch(math.nan), step=0)
    assert metrics["guard/skipped_updates"] == 1
    assert metrics["step/updates"] == 1
    assert all(math.isfinite(value) for value in metrics.values())
    assert any(not torch.equal(before[name], w) for name, w in model.state_dict().items())
    assert all(weight.isfinite().all() for weight in model.state_dict().values())
    examples = [replace(each, advantage=math.nan) for each in make_batch(0.0).examples]
    assert learner.update(TrainingBatch(tuple(examples)), step=1)["guard/skipped_updates"] == 2
    with pytest.raises(DivergedError):
        learner.update(TrainingBatch(tuple(examples)), step=2)
    assert all(weight.isfinite().all() for weight in model.state_dict().values())
