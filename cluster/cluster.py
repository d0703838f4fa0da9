"""The actors of a run, started once and used for every phase of it."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ray

from cluster.inference import InferenceServers
from cluster.learner_group import LearnerGroup
from cluster.rollout_pool import RolloutPool
from cluster.session import ray_session
from physrl.config.run import RunConfig


class Cluster:
    """Rollout workers, inference servers and learner ranks; the servers start in the background."""

    def __init__(self, config: RunConfig, adapters: Path) -> None:
        self.servers = InferenceServers(config.model, config.runtime, seed=config.seed)
        self.pool = RolloutPool(config.runtime)
        self.learners = LearnerGroup(config.runtime)
        self.policy_version = 0
        """Of the weights that the servers hold; 0 is the base model."""
        self._has_adapter = config.model.lora is not None
        self._adapters = adapters

    def wait_for_servers(self) -> None:
        """Wait until every inference server has started."""
        ray.get(self.servers.ready())

    def stop(self) -> None:
        """End all actors."""
        self.servers.stop()
        self.pool.stop()
        self.learners.stop()

    def publish(self) -> int:
        """Bring the learner's weights to the servers under a new policy version."""
        self.policy_version += 1
        if self._has_adapter:
            folder = self._adapters / f"policy-{self.policy_version:08d}"
            self.learners.save_model(folder)
            self.servers.load_adapter(folder / "adapter", self.policy_version)
        else:
            self.servers.load_weights(self.learners.weights(), self.policy_version)
        return self.policy_version


@contextmanager
def start_cluster(config: RunConfig) -> Iterator[Cluster]:
    """A running cluster; everything it started ends with it."""
    with ray_session(config.runtime), tempfile.TemporaryDirectory() as adapters:
        cluster = Cluster(config, Path(adapters))
        try:
            yield cluster
        finally:
            cluster.stop()
