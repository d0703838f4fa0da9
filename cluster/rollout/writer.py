"""The writer: a process on the driver's machine that writes what the driver does not fetch.

rollout workers    encode their groups ----------> tables in the object store
                                                            |
driver             path, references ------> writer <--------+
                                               |
                                               v
                                 a step's Parquet file, queued steps of a checkpoint
"""

from collections.abc import Sequence
from pathlib import Path

import ray
from ray.exceptions import RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from cluster.rollout.queued_steps import save_queued_step
from cluster.runtime.actor_pool import ActorPool, start_pool
from cluster.runtime.event_loop import EventLoop
from cluster.runtime.faults import user_error
from cluster.runtime.session import actor_environment
from physrl.config.runtime import RuntimeConfig
from physrl.data.rollouts import Part, write_parts
from physrl.groups import GroupState
from physrl.tracing import Trace


class Writer:
    """The writer in a Ray actor."""

    def ready(self) -> None:
        """Return once the writer has started."""

    def write(self, path: Path, *parts: Part) -> None:
        """Write the parts of a step's rollouts as one file.

        Raises:
            DataError: the file cannot be written.
        """
        write_parts(path, parts)

    def save_queued_step(self, checkpoint: Path, step: int, *states: GroupState) -> None:
        """Write the completions of a queued step into a checkpoint's folder."""
        save_queued_step(checkpoint, step, [state.record for state in states])


class RolloutWriter:
    """The writer of a run's rollouts, which starts with `start` or when it is first needed."""

    def __init__(self, runtime: RuntimeConfig, loop: EventLoop, trace: Trace) -> None:
        self._runtime, self._loop, self._trace = runtime, loop, trace
        self._pool: ActorPool | None = None

    def start(self) -> ActorPool:
        """Start the writer in the background, unless it is running."""
        if self._pool is None:
            pool = start_pool(
                "writer",
                _make,
                1,
                load_each=1,
                timeout_s=self._runtime.worker_timeout_s,
                start_timeout_s=self._runtime.start_timeout_s,
                trace=self._trace,
            )
            self._pool = self._loop.run(pool)
        return self._pool

    def write(self, path: Path, parts: Sequence[ray.ObjectRef]) -> None:
        """Write a step's rollouts.

        Args:
            parts: references to their parts, in order.

        Raises:
            DataError: the file cannot be written.
            ObjectLostError: a part was lost with a machine.
        """
        self._call("write", path.absolute(), *parts)

    def save_queued_step(
        self, checkpoint: Path, step: int, states: Sequence[ray.ObjectRef]
    ) -> None:
        """Write the completions of a queued step into a checkpoint's folder.

        Raises:
            OSError: the file cannot be written.
            ObjectLostError: a group was lost with a machine.
        """
        self._call("save_queued_step", checkpoint.absolute(), step, *states)

    def stop(self) -> None:
        """Kill the writer."""
        if self._pool is not None:
            self._pool.stop()

    def _call(self, method: str, *arguments: object) -> None:
        try:
            self._loop.run(self.start().call(method, *arguments))
        except RayTaskError as error:
            raise user_error(error) or error from error.cause


def _make(number: int) -> ray.actor.ActorHandle:
    here = ray.get_runtime_context().get_node_id()
    actor = ray.remote(Writer).options(
        num_cpus=0,  # the driver's machine may offer none, and the driver waits meanwhile
        runtime_env={"env_vars": actor_environment(threads=1)},
        scheduling_strategy=NodeAffinitySchedulingStrategy(here, soft=False),
    )
    return actor.remote()
