"""The learner: one Ray actor a DeepSpeed rank."""

import shutil
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import GetTimeoutError

from cluster.runtime.actor_pool import ACTOR_LOST, actor_loss
from cluster.runtime.cold_start import heavy_start
from cluster.runtime.placement import RANK_CPUS, Placement
from cluster.runtime.session import actor_environment
from physrl.algorithms.metrics import combine
from physrl.config.run import RunConfig
from physrl.config.runtime import RuntimeConfig
from physrl.errors import LearnerLostError
from physrl.types import Demonstration, Metrics, TrainingBatch, TrainingExample

PIECE_BYTES = 64 << 20
"""Of a file on its way between machines."""


class LearnerRank:
    """One rank of the learner: a DeepSpeed engine and the algorithm's update."""

    def __init__(self, rank: int, threads: int) -> None:
        with heavy_start():  # while servers start too
            import torch

            import physrl.models.deepspeed_engine
            import physrl.models.loading  # noqa: F401

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
        from physrl.models.loading import load_model
        from physrl.models.processor import load_processor

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
        self._seed(step)
        return self._learner.update(batch, step)

    def profiled_update(self, batch: TrainingBatch, step: int, folder: Path) -> Metrics:
        """The same, with a trace of its operators in the folder."""
        from physrl.profiling import profile_update

        with profile_update(folder / f"learner-rank-{self._rank}.json.gz"):
            return self.update(batch, step)

    def imitate(self, *demonstrations: Sequence[Demonstration], step: int) -> Metrics:
        """This rank's share of an update on demonstrations."""
        from physrl.algorithms.batch import demonstration_batch

        self._seed(step)
        flat = [one for part in demonstrations for one in part]
        return self._learner.update(demonstration_batch(flat, self._collator), step)

    def _seed(self, step: int) -> None:
        """What dropout draws is a function of the step, so that a run can go on anywhere."""
        import torch

        torch.manual_seed((self._config.seed << 32) + (step << 8) + self._rank)

    def logprobs(self, examples: Sequence[TrainingExample]) -> list[list[float]]:
        """Log-probabilities of each example's completion tokens under the current weights."""
        from physrl.models.engine import evaluating

        with evaluating(self._engine.model):
            return self._learner.score(examples)

    def weights(self) -> tuple[int, Mapping[str, Any]]:
        """What is trained, on the CPU: from the first rank, and nothing from the others.

        How many there are comes first, for who only wants to know that they are there.
        """
        weights = self._engine.weights()
        return len(weights), weights

    def adapter(self) -> tuple[int, dict[str, bytes]]:
        """The same for the files of the PEFT adapter by name."""
        from physrl.models.loading import adapter_files

        weights = self._engine.weights()
        files = adapter_files(self._engine.model, weights) if self._rank == 0 else {}
        return len(files), files

    def save_model(self, folder: Path) -> None:
        """Write `adapter/` or `model/`; gathers, so every rank calls it and the first writes."""
        from physrl.models.loading import save_model

        weights = self._engine.weights()
        if self._rank == 0:
            save_model(self._engine.model, self._processor, folder, weights)

    def save_state(self, folder: Path) -> None:
        """Write the optimizer's state; every rank calls it."""
        self._engine.save(folder)

    def files(self, folder: Path) -> tuple[str, dict[str, int]]:
        """This rank's machine, and the sizes of what lies in a folder of it."""
        return ray.get_runtime_context().get_node_id(), sizes(folder)

    def forget(self, folder: Path) -> None:
        """Remove a folder of this rank's machine."""
        shutil.rmtree(folder, ignore_errors=True)

    def read(self, file: Path) -> Iterator[bytes]:
        """A file of this rank's machine in pieces."""
        with file.open("rb") as stream:
            while piece := stream.read(PIECE_BYTES):
                yield piece

    def write(self, file: Path, piece: bytes, start: int) -> None:
        """Write a piece of a file of this rank's machine; what stood behind it goes."""
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("r+b" if start else "wb") as stream:
            stream.seek(start)
            stream.write(piece)

    def load_state(self, folder: Path) -> None:
        """Continue from a saved state; every rank calls it."""
        self._engine.load(folder)


class LearnerGroup:
    """All ranks together; what they report is summed to the update's metrics.

    They start in the background, and are first waited for when a model is loaded. They read and
    write folders of this process; on another machine without a shared folder, the files travel
    through the object store.

    Args:
        rank: what the actors are made of; another class in tests.

    Raises (all methods):
        LearnerLostError: a rank died or hangs, and the group is of no use any more.
    """

    def __init__(
        self,
        runtime: RuntimeConfig,
        placement: Placement,
        rank: type[LearnerRank] = LearnerRank,
    ) -> None:
        self._timeout_s = runtime.update_timeout_s
        environment = {"env_vars": actor_environment(runtime.threads)}
        self.ranks = [
            ray.remote(rank)
            .options(
                num_cpus=RANK_CPUS,
                num_gpus=placement.rank_gpus,
                runtime_env=environment,
                scheduling_strategy=placement.rank(number),
            )
            .remote(number, runtime.threads)
            for number in range(runtime.learner_ranks)
        ]
        self._joined = False

    def load(self, config: RunConfig) -> None:
        """Load the configured model on every rank, with a fresh optimizer."""
        if not self._joined:
            address, port = self._get([self.ranks[0].meeting_point.remote()])[0]
            self._all("join", len(self.ranks), address, port)
            self._joined = True
        for folder in map(Path, filter(None, (config.model.path, config.model.adapter))):
            if folder.is_dir():
                self._send(folder)
        self._all("load", config)

    def update(self, batch: "ray.ObjectRef[TrainingBatch]", step: int) -> Metrics:
        """Train on rollouts; returns the update's metrics."""
        return combine(self._all("update", batch, step))

    def profiled_update(
        self, batch: "ray.ObjectRef[TrainingBatch]", step: int, folder: Path
    ) -> Metrics:
        """The same, with a trace of each rank's operators in the folder."""
        metrics = combine(self._all("profiled_update", batch, step, folder))
        self._bring(folder)
        return metrics

    def imitate(self, demonstrations: Sequence[ray.ObjectRef], step: int) -> Metrics:
        """Train on demonstrations that lie in the object store."""
        calls = [rank.imitate.remote(*demonstrations, step=step) for rank in self.ranks]
        return combine(self._get(calls))

    def logprobs(self, examples: Sequence[TrainingExample]) -> list[list[float]]:
        """Log-probabilities of completions under the current weights."""
        scored: list[list[float]] = self._all("logprobs", list(examples))[0]
        return scored

    def weights(self) -> ray.ObjectRef:
        """What is trained, gathered on the first rank: a reference into the object store."""
        return self._from_first("weights")

    def adapter(self) -> ray.ObjectRef:
        """The adapter's files by name, gathered on the first rank: a reference."""
        return self._from_first("adapter")

    def save_model(self, folder: Path) -> None:
        """Write `adapter/` or `model/` into the folder."""
        self._all("save_model", folder)
        self._bring(folder)

    def save_state(self, folder: Path) -> None:
        """Write every rank's optimizer state into the folder."""
        self._all("save_state", folder)
        self._bring(folder)

    def load_state(self, folder: Path) -> None:
        """Continue from what `save_state` wrote."""
        self._send(folder)
        self._all("load_state", folder)

    def stop(self) -> None:
        """End all ranks."""
        for rank in self.ranks:
            ray.kill(rank)

    def _from_first(self, method: str) -> ray.ObjectRef:
        """The second result of the first rank, left in the object store."""
        calls = [getattr(rank, method).options(num_returns=2).remote() for rank in self.ranks]
        self._get([count for count, _ in calls])  # the others only take part in the gathering
        return calls[0][1]

    def _bring(self, folder: Path) -> None:
        """What ranks wrote elsewhere comes here; what a shared folder shows is here."""
        for rank, (_, there) in zip(self.ranks, self._all("files", folder), strict=True):
            elsewhere = there.items() - sizes(folder).items()
            for name, _ in sorted(elsewhere):
                file, partial = folder / name, folder / f"{name}.part"
                file.parent.mkdir(parents=True, exist_ok=True)
                with partial.open("wb") as stream:
                    for piece in rank.read.options(num_returns="streaming").remote(file):
                        stream.write(self._get([piece])[0])
                partial.replace(file)
            if elsewhere:
                self._get([rank.forget.remote(folder)])

    def _send(self, folder: Path) -> None:
        """What ranks will read goes to those machines that do not have it."""
        machines: set[str] = set()
        for rank, (machine, there) in zip(self.ranks, self._all("files", folder), strict=True):
            if machine in machines:
                continue
            machines.add(machine)
            for name, _ in sorted(sizes(folder).items() - there.items()):
                with (folder / name).open("rb") as stream:
                    start = 0
                    while piece := stream.read(PIECE_BYTES):
                        self._get([rank.write.remote(folder / name, piece, start)])
                        start += len(piece)

    def _all(self, method: str, *arguments: object) -> list[Any]:
        return self._get([getattr(rank, method).remote(*arguments) for rank in self.ranks])

    def _get(self, calls: Sequence[ray.ObjectRef]) -> list[Any]:
        try:
            return list(ray.get(list(calls), timeout=self._timeout_s))
        except GetTimeoutError:
            raise LearnerLostError(
                f"a learner rank does not answer within {self._timeout_s:g} s "
                "(runtime.update_timeout_s)"
            ) from None
        except ACTOR_LOST as error:
            reason = actor_loss(error, self._timeout_s)
            raise LearnerLostError(f"a learner rank is lost: {reason}") from error


def sizes(folder: Path) -> dict[str, int]:
    """The files of a folder, by their paths in it."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in found}
