"""The learner: one Ray actor a DeepSpeed rank."""

import socket
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import ray

from cluster.session import RANK_CPUS, actor_environment
from physrl.algorithms.metrics import combine
from physrl.config.run import RunConfig, RuntimeConfig
from physrl.types import Demonstration, Metrics, TrainingBatch, TrainingExample


class LearnerRank:
    """One rank of the learner: a DeepSpeed engine and the algorithm's update."""

    def __init__(self, rank: int, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        self._rank = rank
        self._loaded = ExitStack()

    def meeting_point(self) -> tuple[str, int]:
        """An address of this machine and a free port on it, where ranks meet."""
        with socket.socket() as free:
            free.bind(("", 0))
            port = int(free.getsockname()[1])
        return ray.util.get_node_ip_address(), port

    def join(self, world_size: int, address: str, port: int) -> None:
        """Meet the other ranks; once a process."""
        from physrl.models.deepspeed_engine import join_ranks

        join_ranks(self._rank, world_size, address, port)

    def load(self, config: RunConfig) -> None:
        """Load the configured model and start a fresh optimizer; the last ones are freed first."""
        import torch

        from physrl.algorithms.update import Learner
        from physrl.data.collate import Collator
        from physrl.models.deepspeed_engine import DeepSpeedEngine
        from physrl.models.loading import load_model, load_processor

        self._loaded.close()
        torch.manual_seed(config.seed)  # the adapters' first weights; alike on every rank
        self._processor = load_processor(config.model.path)
        self._engine = DeepSpeedEngine(
            load_model(config.model),
            config.algorithm,
            config.runtime.zero_stage,
            config.runtime.offload,
        )
        self._loaded.callback(self._engine.close)
        self._config = config
        self._collator = Collator(self._processor)
        self._learner = Learner(self._engine, self._collator, config)

    def update(self, batch: TrainingBatch, step: int) -> Metrics:
        """This rank's share of an update on rollouts."""
        return self._learner.update(batch, step)

    def imitate(self, *demonstrations: Sequence[Demonstration], step: int) -> Metrics:
        """This rank's share of an update on demonstrations."""
        from physrl.algorithms.batch import demonstration_batch

        flat = [one for part in demonstrations for one in part]
        return self._learner.update(demonstration_batch(flat, self._collator), step)

    def logprobs(self, examples: Sequence[TrainingExample]) -> list[list[float]]:
        """Log-probabilities of each example's completion tokens under the current weights."""
        from physrl.models.engine import evaluating

        with evaluating(self._engine.model):
            return self._learner.score(examples)

    def weights(self) -> Mapping[str, Any]:
        """What is trained, on the CPU: from the first rank, and nothing from the others."""
        return self._engine.weights()

    def save_model(self, folder: Path) -> None:
        """Write `adapter/` or `model/`; gathers, so every rank calls it and the first writes."""
        from physrl.models.loading import save_model

        weights = self._engine.weights()
        if self._rank == 0:
            save_model(self._engine.model, self._processor, folder, weights)

    def save_state(self, folder: Path) -> None:
        """Write the optimizer's state; every rank calls it."""
        self._engine.save(folder)

    def load_state(self, folder: Path) -> None:
        """Continue from a saved state; every rank calls it."""
        self._engine.load(folder)


class LearnerGroup:
    """All ranks together; what they report is summed to the update's metrics."""

    def __init__(self, runtime: RuntimeConfig) -> None:
        self._ranks = [
            ray.remote(LearnerRank)
            .options(
                num_cpus=RANK_CPUS,
                num_gpus=runtime.gpus_per_rank,
                runtime_env={"env_vars": actor_environment(runtime.threads)},
            )
            .remote(rank, runtime.threads)
            for rank in range(runtime.learner_ranks)
        ]
        address, port = ray.get(self._ranks[0].meeting_point.remote())
        self._all("join", len(self._ranks), address, port)

    def load(self, config: RunConfig) -> None:
        """Load the configured model on every rank, with a fresh optimizer."""
        self._all("load", config)

    def update(self, batch: TrainingBatch, step: int) -> Metrics:
        """Train on rollouts; returns the update's metrics."""
        return combine(self._all("update", ray.put(batch), step))

    def imitate(self, demonstrations: Sequence[ray.ObjectRef], step: int) -> Metrics:
        """Train on demonstrations that lie in the object store."""
        refs = [rank.imitate.remote(*demonstrations, step=step) for rank in self._ranks]
        return combine(ray.get(refs))

    def logprobs(self, examples: Sequence[TrainingExample]) -> list[list[float]]:
        """Log-probabilities of completions under the current weights."""
        scored: list[list[float]] = self._all("logprobs", list(examples))[0]
        return scored

    def weights(self) -> ray.ObjectRef:
        """What is trained, gathered on the first rank: a reference into the object store."""
        first, *others = [rank.weights.remote() for rank in self._ranks]
        if others:  # they only take part in the gathering
            ray.get(others)
        return first

    def save_model(self, folder: Path) -> None:
        """Write `adapter/` or `model/` into the folder."""
        self._all("save_model", folder)

    def save_state(self, folder: Path) -> None:
        """Write every rank's optimizer state into the folder."""
        self._all("save_state", folder)

    def load_state(self, folder: Path) -> None:
        """Continue from what `save_state` wrote."""
        self._all("load_state", folder)

    def stop(self) -> None:
        """End all ranks."""
        for rank in self._ranks:
            ray.kill(rank)

    def _all(self, method: str, *arguments: object) -> list[Any]:
        return list(ray.get([getattr(rank, method).remote(*arguments) for rank in self._ranks]))
