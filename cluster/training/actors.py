"""The actors of a run, started once and used for every phase of it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ray

from cluster.inference.server import InferenceServer, InferenceServers
from cluster.learner.group import LearnerGroup, LearnerRank
from cluster.learner.recovery import Trainer
from cluster.rollout.pipeline import Rollouts
from cluster.rollout.worker import RolloutWorker
from cluster.runtime.event_loop import EventLoop
from cluster.runtime.placement import RANK_CPUS, Placement
from cluster.runtime.session import ray_session
from cluster.weights.policy import Policy
from physrl.config.model import ModelConfig
from physrl.config.run import RunConfig
from physrl.tracing import Trace


class Cluster:
    """Rollout workers, inference servers and learner ranks; they start in the background.

    Args:
        worker, server, rank: what the actors are made of; other classes in tests.
    """

    def __init__(
        self,
        config: RunConfig,
        *,
        worker: type[RolloutWorker] = RolloutWorker,
        server: type[InferenceServer] = InferenceServer,
        rank: type[LearnerRank] = LearnerRank,
    ) -> None:
        runtime = config.runtime
        self.trace = Trace()
        """What actors were called for, since somebody last took it."""
        self._loop = EventLoop()
        self._placement = Placement.reserve(runtime)
        self._dequantized = config.folder / ".dequantized"
        served = config.model
        if served.quantization is not None:
            ray.get(
                ray.remote(_dequantize)
                .options(
                    num_cpus=RANK_CPUS,
                    num_gpus=self._placement.rank_gpus,
                    scheduling_strategy=self._placement.rank(0),
                )
                .remote(config.model, self._dequantized)
            )
            served = served.model_copy(update={"path": str(self._dequantized)})
        self.servers = InferenceServers(
            served,
            runtime,
            seed=config.seed,
            loop=self._loop,
            placement=self._placement,
            trace=self.trace,
            server=server,
        )
        self.rollouts = Rollouts(
            runtime,
            self.servers,
            loop=self._loop,
            placement=self._placement,
            trace=self.trace,
            worker=worker,
        )
        self.learners = Trainer(lambda: LearnerGroup(runtime, self._placement, rank))
        self._runtime = runtime
        self._has_adapter = config.model.lora is not None
        self._version = 0

    @property
    def policy_version(self) -> int:
        """Of the policy that completions are asked of; 0 is the base model."""
        return self._version

    def wait_for_servers(self) -> None:
        """Wait until every inference server has started.

        Raises:
            LostError: one did not.
        """
        self.servers.wait()

    def continue_from(self, version: int) -> None:
        """Count on from a checkpoint's policy version; versions never repeat."""
        self._version = max(self._version, version)

    def publish(self) -> None:
        """Ask for completions of the learner's weights from now on, under a new version.

        Servers take them in the background, or before this returns where learners will want the
        same GPUs.
        """
        self._version += 1
        if self._has_adapter:
            policy = Policy(self._version, "adapter", self.learners.adapter())
        else:
            policy = Policy(self._version, "weights", self.learners.weights())
        if self._runtime.layout == "colocated":
            self.servers.serve(policy)
        else:
            self.servers.serve_soon(policy)

    def serve_adapter(self, folder: Path) -> None:
        """Ask for completions of an adapter on this machine from now on."""
        files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
        self._version += 1
        self.servers.serve(Policy(self._version, "adapter", ray.put(files)))

    @contextmanager
    def learning(self) -> Iterator[None]:
        """While the learner works: servers that share its GPUs give them up."""
        if self._runtime.layout == "disaggregated":
            yield
            return
        self.servers.sleep()
        try:
            yield
        finally:
            self.servers.wake()

    def stop(self) -> None:
        """End all actors."""
        self._loop.stop()
        self.servers.stop()
        self.rollouts.stop()
        self.learners.stop()
        self._placement.release()
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
