"""Equality of two ranks under ZeRO-3 with one process.

Run as a script, this file is one of the ranks: RANK MEETING_FILE RESULT_FILE.
"""

import os
import subprocess
import sys
from typing import Any

import deepspeed
import numpy as np
import pytest
import torch
from torch import Tensor

from physrl.algorithms.update import Learner
from physrl.config.load import validate
from physrl.config.run import RunConfig
from physrl.data.collate import Collator
from physrl.models import deepspeed_engine
from physrl.models.deepspeed_engine import DeepSpeedEngine
from physrl.models.engine import Engine, TorchEngine
from physrl.models.loading import load_model
from physrl.models.processor import load_processor
from physrl.models.token_scores import token_scores
from physrl.training_records import TrainingBatch, TrainingExample
from physrl.types import Prompt
from tests.support.paths import ROOT, TINY_BASE

TOKENS = (3, 600)
"""Tokens of each rank: if the weight were gathered once per chunk, the ranks would deadlock."""
STEPS, LR = 2, 0.5


class Model(torch.nn.Module):
    """An embedding, a layer and a head."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding = torch.nn.Embedding(30, 8)
        self.layer = torch.nn.Linear(8, 8)
        self.head = torch.nn.Linear(8, 30)

    def loss(self, rank: int) -> Tensor:
        tokens = torch.arange(TOKENS[rank]) % 30
        states = self.layer(self.embedding(tokens))
        logprobs, entropies = token_scores(self.head, states, tokens.flip(0), [], 0.9)
        return -logprobs.mean() - 0.1 * entropies.mean()


def train_alone() -> dict[str, Tensor]:
    model = Model()
    optimizer = torch.optim.SGD(model.parameters(), lr=LR)
    for _ in range(STEPS):
        optimizer.zero_grad()
        (sum(model.loss(rank) for rank in range(2)) / 2).backward()
        optimizer.step()
    return dict(model.state_dict())


def train_rank(rank: int) -> dict[str, Tensor]:
    model = Model()
    engine, *_ = deepspeed.initialize(
        model=model,
        optimizer=torch.optim.SGD(model.parameters(), lr=LR),
        dist_init_required=False,
        config={
            "train_micro_batch_size_per_gpu": 1,
            "zero_allow_untested_optimizer": True,
            "zero_force_ds_cpu_optimizer": False,
            "zero_optimization": {
                "stage": 3,
                "overlap_comm": False,
                "stage3_param_persistence_threshold": 0,
            },
        },
    )
    assert model.head.weight.numel() == 0
    for _ in range(STEPS):
        engine.backward(model.loss(rank))
        engine.step()
    with deepspeed.zero.GatheredParameters(list(model.parameters())):
        return {name: weight.detach().clone() for name, weight in model.state_dict().items()}


def tiny_config(ranks: int) -> RunConfig:
    return validate(
        {
            "model": {"path": str(TINY_BASE)},
            "algorithm": {
                "steps": 4,
                "updates_per_rollout": 2,
                "decay": "constant",
                "lr": 1e-3,
                "max_grad_norm": 1.0,
                "importance_sampling_mode": "none",
                "entropy_coef": 0.01,
            },
            "runtime": {"learner_ranks": ranks, "zero_stage": 3, "tokens_per_micro_batch": 128},
        }
    )


def train_tiny(engine: Engine, config: RunConfig) -> None:
    """Take four updates of the tiny base, whose head is its embedding.

    Neither nine examples nor the three of the second step can be divided evenly; the last update
    has one example, so that a rank takes part without any.
    """
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (9, 84, 84, 3), dtype=np.uint8)
    examples = [
        TrainingExample(
            Prompt.ask(str(row), "Where is the red block?", *images[row : row + row % 3]),
            tuple(rng.integers(20, 90, size=3 + row).tolist()),
            advantage=float(rng.normal()),
        )
        for row in range(9)
    ]
    learner = Learner(engine, Collator(load_processor(str(TINY_BASE))), config)
    for step, batch in enumerate((examples, examples[:3])):
        metrics = learner.update(TrainingBatch(tuple(batch)), step)
        assert metrics["step/updates"] * engine.world_size == 2


def train_tiny_rank(patch: pytest.MonkeyPatch) -> dict[str, Tensor]:
    """Train with all weights partitioned, even those that DeepSpeed would keep whole."""
    settings = deepspeed_engine._settings

    def splitting(*arguments: Any) -> dict[str, Any]:
        table = settings(*arguments)
        table["zero_optimization"]["stage3_param_persistence_threshold"] = 0
        return table

    patch.setattr(deepspeed_engine, "_settings", splitting)
    config = tiny_config(ranks=2)
    engine = DeepSpeedEngine(load_model(config.model), config.algorithm, zero_stage=3)
    assert engine.model.get_output_embeddings().weight.numel() == 0
    train_tiny(engine, config)
    weights = dict(engine.weights())
    assert bool(weights) == (engine.rank == 0)  # the other ranks return nothing
    return weights


def rank_main(rank: int, meeting: str, result: str) -> None:
    os.environ["LOCAL_RANK"] = "0"
    deepspeed.init_distributed(
        dist_backend="gloo",
        auto_mpi_discovery=False,
        init_method=f"file://{meeting}",
        rank=rank,
        world_size=2,
        verbose=False,
    )
    with pytest.MonkeyPatch.context() as patch:
        weights = train_rank(rank), train_tiny_rank(patch)
    if rank == 0:
        torch.save(weights, result)


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Tensor], ...]:
    """Train both models by two ranks and return their weights."""
    folder = tmp_path_factory.mktemp("ranks")
    command = [sys.executable, "-m", "tests.physrl.models.test_zero3"]
    files = [str(folder / "meeting"), str(folder / "result.pt")]
    ranks = [subprocess.Popen([*command, str(rank), *files], cwd=ROOT) for rank in range(2)]
    try:
        assert [rank.wait(timeout=600) for rank in ranks] == [0, 0]
    finally:
        for rank in ranks:
            rank.kill()
    weights: tuple[dict[str, Tensor], ...] = torch.load(files[1])
    return weights


@pytest.mark.slow
def test_two_ranks_with_a_partitioned_head_learn_as_one_process(
    together: tuple[dict[str, Tensor], ...],
) -> None:
    alone = train_alone()
    assert not torch.equal(alone["head.weight"], Model().head.weight)
    for name, weight in alone.items():
        torch.testing.assert_close(together[0][name], weight, atol=1e-6, rtol=0)


@pytest.mark.slow
def test_two_ranks_with_a_partitioned_tied_embedding_learn_as_one_process(
    together: tuple[dict[str, Tensor], ...],
) -> None:
    config = tiny_config(ranks=1)
    model = load_model(config.model)
    head, embedding = model.get_output_embeddings(), model.get_input_embeddings()
    assert head.weight is embedding.weight
    before = head.weight.detach().clone()
    train_tiny(TorchEngine(model, config.algorithm), config)
    assert (head.weight - before).abs().max() > 5e-4
    assert together[1].keys() == model.state_dict().keys()
    for name, weight in model.state_dict().items():
        torch.testing.assert_close(together[1][name], weight, atol=5e-5, rtol=0)


if __name__ == "__main__":
    rank_main(int(sys.argv[1]), sys.argv[2], sys.argv[3])
