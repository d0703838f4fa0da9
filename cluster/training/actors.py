"""The actors of rollouts and of a run, each started once and used for many requests."""

from collections.abc import Iterator
from contextlib import contextmanager

from cluster.inference.server import InferenceServer
from cluster.inference.servers import start_servers
from cluster.learner.group import LearnerGroup
from cluster.learner.rank import LearnerRank
from cluster.rollout.worker import RolloutWorker
from cluster.rollout.workers import start_rollouts
from cluster.rollout.writer import RolloutWriter
from cluster.runtime.event_loop import EventLoop
from cluster.runtime.placement import Placement
from cluster.runtime.session import ray_session
from cluster.weights.sync import WeightSync
from physrl.config.model import ModelConfig
from physrl.config.run import RunConfig
from physrl.config.runtime import RuntimeConfig
from physrl.tracing import Trace


class RolloutActors:
    """Rollout workers and inference servers, which start in the background.

    Args:
        adapters: largest number of adapters in a batch of a server.
        worker, server: classes of the actors; other ones in tests.
    """

    def __init__(
        self,
        model: ModelConfig,
        runtime: RuntimeConfig,
        placement: Placement,
        *,
        seed: int,
        adapters: int = 1,
        worker: type[RolloutWorker] = RolloutWorker,
        server: type[InferenceServer] = InferenceServer,
    ) -> None:
        self.trace = Trace()
        """Trace of the actors' calls."""
        self._loop, self._placement = EventLoop(), placement
        self.servers = start_servers(
            model,
            runtime,
            seed=seed,
            loop=self._loop,
            placement=placement,
            trace=self.trace,
            adapters=adapters,
            server=server,
        )
        self.rollouts = start_rollouts(
            runtime,
            self.servers,
            loop=self._loop,
            placement=placement,
            trace=self.trace,
            worker=worker,
        )

    def stop(self) -> None:
        """Kill all actors."""
        self._loop.stop()
        self.servers.stop()
        self.rollouts.stop()
        self._placement.release()


class RunActors(RolloutActors):
    """The actors of a run, which start in the background: workers, servers, ranks and the writer.

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
        super().__init__(
            config.model,
            runtime,
            Placement.reserve(runtime),
            seed=config.seed,
            adapters=adapter_slots(runtime),
            worker=worker,
            server=server,
        )
        self._shared_gpus = runtime.layout == "colocated"
        self.writer = RolloutWriter(runtime, self._loop, self.trace)
        self.learner = LearnerGroup(runtime, self._placement, rank)
        self.weights = WeightSync(
            self.learner,
            self.servers,
            adapters=config.model.lora is not None,
            wait=self._shared_gpus,
        )

    @contextmanager
    def learning(self) -> Iterator[None]:
        """Free the GPUs that servers share with the learner for the duration of the block.

        Servers that are starting come first: vLLM starts only where enough memory is free.
        """
        if not self._shared_gpus:
            yield
            return
        self.servers.sleep()
        try:
            yield
            self.learner.free_cache()
        finally:
            self.servers.wake()

    def stop(self) -> None:
        self.learner.stop()
        self.writer.stop()
        super().stop()


def adapter_slots(runtime: RuntimeConfig) -> int:
    """Count the versions of an adapter that a server's batch may hold.

    With `continuous` batching, completions of older versions continue beside those of the newest.
    """
    return 1 + runtime.staleness if runtime.batching == "continuous" else 1


@contextmanager
def start_actors(config: RunConfig) -> Iterator[RunActors]:
    """Start the actors of a run on a running Ray cluster or a local one; stop them at the end."""
    with ray_session(config.runtime):
        actors = RunActors(config)
        try:
            yield actors
        finally:
            actors.stop()
