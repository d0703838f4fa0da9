"""The actors of a run, started once and used for every phase of it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import ray
from ray.exceptions import RayActorError

from cluster.inference import InferenceServers
from cluster.learner_group import LearnerGroup
from cluster.rollout_pool import RolloutPool
from cluster.session import ray_session
from physrl.config.model import ModelConfig
from physrl.config.run import RunConfig
from physrl.errors import GenerationError


class Cluster:
    """Rollout workers, inference servers and learner ranks; the servers start in the background."""

    def __init__(self, config: RunConfig) -> None:
        self._dequantized = config.folder / ".dequantized"
        served = config.model
        if served.quantization is not None:
            ray.get(
                ray.remote(_dequantize)
                .options(num_gpus=config.runtime.gpus_per_rank)
                .remote(config.model, self._dequantized)
            )
            served = served.model_copy(update={"path": str(self._dequantized)})
        self.servers = InferenceServers(served, config.runtime, seed=config.seed)
        self.pool = RolloutPool(config.runtime)
        self.policy_version = 0
        """Of the weights that the servers hold; 0 is the base model."""
        self._runtime = config.runtime
        self._has_adapter = config.model.lora is not None
        # Beside the run's files, where every machine of a cluster reads.
        self._adapters = config.folder / ".adapters"

    @cached_property
    def learners(self) -> LearnerGroup:
        """The learner's ranks, started when they are first needed."""
        return LearnerGroup(self._runtime)

    def wait_for_servers(self) -> None:
        """Wait until every inference server has started.

        Raises:
            GenerationError: one did not.
        """
        try:
            ray.get(self.servers.ready())
        except RayActorError as error:
            reason = str(error).strip().splitlines()[-1]
            raise GenerationError(f"an inference server did not start: {reason}") from error

    def continue_from(self, version: int) -> None:
        """Count on from a checkpoint's policy version; versions never repeat."""
        self.policy_version = max(self.policy_version, version)

    def publish(self) -> int:
        """Bring the learner's weights to the servers under a new policy version."""
        self.policy_version += 1
        if not self._has_adapter:
            self.servers.load_weights(self.learners.weights(), self.policy_version)
            return self.policy_version
        folder = self._adapters / f"policy-{self.policy_version:08d}"
        self.learners.save_model(folder)
        self.servers.load_adapter(folder / "adapter", self.policy_version)
        shutil.rmtree(folder)  # the servers hold it now
        return self.policy_version

    def stop(self) -> None:
        """End all actors."""
        self.servers.stop()
        self.pool.stop()
        if "learners" in self.__dict__:
            self.learners.stop()
        shutil.rmtree(self._adapters, ignore_errors=True)
        shutil.rmtree(self._dequantized, ignore_errors=True)


def _dequantize(model: ModelConfig, folder: Path) -> None:
    from physrl.models.loading import save_dequantized  # heavy, and the driver needs none of it

    save_dequantized(model, folder)


@contextmanager
def start_cluster(config: RunConfig) -> Iterator[Cluster]:
    """A running cluster; everything it started ends with it."""
    with ray_session(config.runtime):
        cluster = Cluster(config)
        try:
            yield cluster
        finally:
            cluster.stop()
