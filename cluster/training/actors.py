"""The actors of a run, which all its phases share."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from cluster.inference.dequantize import served_model
from cluster.inference.server import InferenceServer
from cluster.inference.servers import InferenceServers
from cluster.learner.group import LearnerGroup
from cluster.learner.rank import LearnerRank
from cluster.rollout.worker import RolloutWorker
from cluster.rollout.workers import Rollouts
from cluster.runtime.event_loop import EventLoop
from cluster.runtime.placement import Placement
from cluster.runtime.session import ray_session
from cluster.weights.sync import WeightSync
from physrl.config.run import RunConfig
from physrl.tracing import Trace


class RunActors:
    """The rollout workers, inference servers and learner ranks, which start in the background.

    Args:
        worker, server, rank: classes of the actors; other ones in tests.
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
        """Trace of the actors' calls."""
        self._loop = EventLoop()
        self._placement = Placement.reserve(runtime)
        self._dequantized = config.folder / ".dequantized"
        self._shared_gpus = runtime.layout == "colocated"
        self.servers = InferenceServers(
            served_model(config.model, self._placement, self._dequantized),
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
        self.learner = LearnerGroup(runtime, self._placement, rank)
        self.weights = WeightSync(
            self.learner,
            self.servers,
            adapters=config.model.lora is not None,
            wait=self._shared_gpus,
        )

    @contextmanager
    def learning(self) -> Iterator[None]:
        """Free the GPUs that servers share with the learner for the duration of the block."""
        if not self._shared_gpus:
            yield
            return
        self.servers.sleep()
        try:
            yield
        finally:
            self.servers.wake()

    def stop(self) -> None:
        """Kill all actors."""
        self._loop.stop()
        self.servers.stop()
        self.rollouts.stop()
        self.learner.stop()
        self._placement.release()
        shutil.rmtree(self._dequantized, ignore_errors=True)


@contextmanager
def start_actors(config: RunConfig) -> Iterator[RunActors]:
    """Start the actors of a run on a running Ray cluster or a local one; stop them at the end."""
    with ray_session(config.runtime):
        actors = RunActors(config)
        try:
            yield actors
        finally:
            actors.stop()
