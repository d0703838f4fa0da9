"""Two ranks whose weights ZeRO-3 holds in parts learn as one process does.

Run as a script, this file is one of the ranks: RANK MEETING_FILE RESULT_FILE.
"""

import os
import subprocess
import sys
from pathlib import Path

import deepspeed
import torch
from torch import Tensor

from physrl.models.token_scores import token_scores

TOKENS = (3, 600)
"""Of each rank: were the weight gathered once a chunk, one would wait for the other for ever."""
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
    weights = train_rank(rank)
    if rank == 0:
        torch.save(weights, result)


def test_two_ranks_with_a_partitioned_head_learn_as_one_process(tmp_path: Path) -> None:
    command = [sys.executable, __file__]
    files = [str(tmp_path / "meeting"), str(tmp_path / "result.pt")]
    ranks = [subprocess.Popen([*command, str(rank), *files]) for rank in range(2)]
    try:
        assert [rank.wait(timeout=150) for rank in ranks] == [0, 0]
    finally:
        for rank in ranks:
            rank.kill()
    alone, together = train_alone(), torch.load(files[1])
    assert not torch.equal(alone["head.weight"], Model().head.weight)
    for name, weight in alone.items():
        torch.testing.assert_close(together[name], weight, atol=1e-6, rtol=0)


if __name__ == "__main__":
    rank_main(int(sys.argv[1]), sys.argv[2], sys.argv[3])
