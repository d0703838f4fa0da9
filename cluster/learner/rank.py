"""A rank of the learner: a DeepSpeed engine and the update of the algorithm."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Any

import ray

from cluster.learner.step_rollouts import StepRollouts
from cluster.runtime.cold_start import cold_start
from physrl.config.run import RunConfig
from physrl.training_records import TrainingExample
from physrl.types import Metrics

PIECE_BYTES = 64 << 20
"""Bytes of a file that travel between machines at once."""


class LearnerRank:
    """A learner rank in a Ray actor; methods that gather must be called on every rank."""

    def __init__(self, rank: int, threads: int) -> None:
        with cold_start():
            import torch

            import physrl.models.deepspeed_engine
            import physrl.models.loading  # noqa: F401

        torch.set_num_threads(threads)
        self._rank = rank
        self._loaded = ExitStack()
        self._samples: Any = None
        """What the next update trains on."""

    def rendezvous(self, world_size: int) -> tuple[str, int]:
        """Open the process group's store on a port of this machine, and return where it listens.

        The store holds the port from the beginning, so that no other process can take it.
        """
        from physrl.models.deepspeed_engine import open_store

        self._store = open_store("", 0, world_size, serves=True)
        return ray.util.get_node_ip_address(), self._store.port

    def join(self, world_size: int, address: str, port: int) -> None:
        """Join the process group of all ranks; to be called once in a process."""
        from physrl.models.deepspeed_engine import join_ranks, open_store

        if self._rank > 0:
            self._store = open_store(address, port, world_size, serves=False)
        join_ranks(self._rank, world_size, self._store)

    def load(self, config: RunConfig, state: Path | None) -> None:
        """Load the configured model, and a saved optimizer state or a fresh one.

        The previous model and optimizer are freed first.
        """
        import torch

        from physrl.algorithms.update import Learner
        from physrl.data.collate import Collator
        from physrl.models.deepspeed_engine import DeepSpeedEngine
        from physrl.models.loading import load_model
        from physrl.models.processor import configured_processor

        self._loaded.close()
        torch.manual_seed(config.seed)  # the initial adapter must be the same on every rank
        self._processor = configured_processor(config.model)
        self._engine = DeepSpeedEngine(
            load_model(config.model),
            config.algorithm,
            config.runtime.zero_stage,
            config.runtime.offload,
        )
        self._loaded.callback(self._engine.close)
        self._config = config
        self._learner = Learner(self._engine, Collator(self._processor), config)
        if state is not None:
            self._engine.load(state)
            self._learner.load_reference(state)

    def receive(self, *parts: Any) -> None:
        """Receive the samples of the next update.

        A call of its own: where one rank cannot fetch them, the others must not wait for it in an
        update.

        Args:
            parts: a step's rollouts, or lists of demonstrations.

        Raises:
            ObjectLostError: rollouts were lost with a machine.
        """
        if not self._config.algorithm.uses_rollouts:
            self._samples = list(chain(*parts))
        else:
            (rollouts,) = parts
            self._samples = rollouts.read() if isinstance(rollouts, StepRollouts) else rollouts

    def update(self, step: int, profile: Path | None) -> Metrics:
        """Compute this rank's share of the updates on the samples that it has received.

        Args:
            profile: folder for a trace of the operators.
        """
        import torch

        # Dropout is a function of the step, so that a run can resume at any step.
        torch.manual_seed((self._config.seed << 32) + (step << 8) + self._rank)
        samples, self._samples = self._samples, None
        if profile is None:
            return self._learner.update(samples, step)
        from physrl.profiling import profile_update

        with profile_update(profile / f"learner-rank-{self._rank}.json.gz"):
            return self._learner.update(samples, step)

    def logprobs(self, examples: Sequence[TrainingExample]) -> list[list[float]]:
        """Score each example's completion tokens under the current weights."""
        from physrl.models.engine import evaluating

        with evaluating(self._engine.model):
            return self._learner.score(examples)

    def free_cache(self) -> None:
        """Return the GPU memory that PyTorch caches, so that a server on the same GPU finds it."""
        import torch

        torch.cuda.empty_cache()  # does nothing without a GPU

    def weights(self) -> tuple[int, dict[str, Any]]:
        """Gather the trained weights: an adapter's files by name, or a state dict.

        Returns:
            Their number, and the weights (of an adapter: on the first rank only).
        """
        from physrl.models.loading import adapter_files

        weights = dict(self._engine.weights())
        if self._config.model.lora is not None:
            weights = adapter_files(self._engine.model, weights) if self._rank == 0 else {}
        return len(weights), weights

    def save_model(self, folder: Path) -> None:
        """Write `adapter/` or `model/`; all ranks gather, and the first writes."""
        from physrl.models.loading import save_model

        weights = self._engine.weights()
        if self._rank == 0:
            save_model(self._engine.model, self._processor, folder, weights)

    def save_state(self, folder: Path) -> None:
        """Write every rank's optimizer state.

        A call of its own: where the first rank cannot write the model, the others must not wait for
        it here.
        """
        self._engine.save(folder)
        if self._rank == 0:
            self._learner.save_reference(folder)

    def files(self, folder: Path) -> tuple[str, dict[str, int]]:
        """Return the id of this rank's machine, and the sizes of a folder's files on it."""
        return ray.get_runtime_context().get_node_id(), file_sizes(folder)

    def remove(self, folder: Path) -> None:
        """Remove a folder on this rank's machine."""
        shutil.rmtree(folder, ignore_errors=True)

    def read(self, file: Path) -> Iterator[bytes]:
        """Read a file on this rank's machine in pieces."""
        with file.open("rb") as stream:
            while piece := stream.read(PIECE_BYTES):
                yield piece

    def write(self, file: Path, piece: bytes, start: int) -> None:
        """Write a piece of a file on this rank's machine; the first piece truncates the file."""
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("r+b" if start else "wb") as stream:
            stream.seek(start)
            stream.write(piece)


def file_sizes(folder: Path) -> dict[str, int]:
    """Return the sizes of a folder's files by their relative paths."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}
