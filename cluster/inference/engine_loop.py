"""Keeps one engine busy with the requests of several callers: continuous batching.

generate, load (any thread) --> waiting jobs --> the engine's own thread:
    jobs that may share a batch with what is under way join it, others wait for its end (or abort
    it), a step of the engine, finished batches back to their callers

Policies share a batch where they have the same full weights and all of them an adapter, or none:
vLLM 0.32 on CPU gives prompts without an adapter the last slot's, where others have one.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from cluster.inference.engine import Batch, VLLMEngine
from cluster.weights.policy import Policy
from cluster.weights.sync import FetchedWeights
from physrl.errors import AbortedError
from physrl.protocols import Sampling
from physrl.types import Generation, Prompt

logger = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Job:
    """A caller's prompts; none where a policy is only to be loaded."""

    weights: FetchedWeights
    prompts: Sequence[Prompt] = ()
    sampling: Sampling | None = None
    done: "Future[list[Generation]]" = field(default_factory=Future)
    batch: Batch | None = None
    outputs: dict[str, Any] = field(default_factory=dict)

    @property
    def policy(self) -> Policy:
        return self.weights.policy


@dataclass(slots=True, eq=False)
class _Exclusive:
    """An action on the engine while nothing is under way."""

    action: Callable[[], None]
    done: "Future[None]" = field(default_factory=Future)


class EngineLoop:
    """Owns an engine; its methods may be called from any thread and wait for their results.

    Args:
        max_adapters: policies with an adapter that may share a batch.
        aborts: whether a newer version of a policy aborts the completions of the older one under
            way, whose callers get an AbortedError, instead of waiting for them.
        broken: called when a step of the engine fails, after which it is of no use.
    """

    def __init__(
        self,
        engine: VLLMEngine,
        *,
        broken: Callable[[], None],
        max_adapters: int = 1,
        aborts: bool = False,
    ) -> None:
        self._engine, self._broken = engine, broken
        self._max_adapters, self._aborts = max_adapters, aborts
        self._waiting: deque[_Job | _Exclusive] = deque()
        self._under_way: list[_Job] = []
        self._newest: dict[str, FetchedWeights] = {}
        """The newest weights of each policy that was loaded."""
        self._arrived = threading.Condition()
        threading.Thread(target=self._run, daemon=True, name="engine").start()

    def generate(
        self, prompts: Sequence[Prompt], sampling: Sampling, weights: FetchedWeights
    ) -> list[Generation]:
        """Sample one group of completions a prompt, in their order, from a policy or a newer one.

        Raises:
            GenerationError: as `VLLMEngine.load`, `begin` and `finish`.
            AbortedError: a newer version of the policy came before the completions' end.
        """
        job = _Job(weights, prompts, sampling)
        self._submit(job)
        return job.done.result()

    def load(self, weights: FetchedWeights) -> None:
        """Load a policy's weights, for the requests that come after.

        Raises:
            GenerationError: as `VLLMEngine.load`.
        """
        job = _Job(weights)
        self._submit(job)
        job.done.result()

    def exclusively(self, action: Callable[[], None]) -> None:
        """Do something to the engine while nothing is under way."""
        job = _Exclusive(action)
        self._submit(job)
        job.done.result()

    def _submit(self, job: "_Job | _Exclusive") -> None:
        with self._arrived:
            self._waiting.append(job)
            self._arrived.notify()

    def _run(self) -> None:
        while True:
            with self._arrived:
                self._arrived.wait_for(lambda: self._waiting or self._under_way)
            self._admit()
            if self._under_way:
                self._step()

    def _admit(self) -> None:
        """Begin the jobs that wait, in their order, up to one that does not fit.

        Where the engine is idle, later ones that fit the first overtake those that do not: what is
        loaded for the first serves them all.
        """
        idle = not self._under_way
        for job in tuple(self._waiting):
            if isinstance(job, _Exclusive):
                if self._under_way:
                    return
                _settle(job.done, job.action)
            elif self._fits(job):
                self._begin(job)
            elif idle:
                continue
            else:
                return
            self._waiting.remove(job)

    def _fits(self, job: _Job) -> bool:
        """Whether a job may share a batch with those under way, after aborting older versions."""
        newest = self._newest.get(job.policy.name)
        if newest is not None and newest.policy.version > job.policy.version:
            job.weights = newest
        policy = job.policy
        superseded = [
            other
            for other in self._under_way
            if other.policy.name == policy.name and other.policy.version < policy.version
        ]
        if superseded and self._aborts:
            self._abort(superseded)
        elif superseded:
            return False
        others = [other.policy for other in self._under_way]
        adapters = {one.name for one in (*others, policy) if one.form == "adapter"}
        return len(adapters) <= self._max_adapters and all(
            _shared(other) == _shared(policy) for other in others
        )

    def _begin(self, job: _Job) -> None:
        try:
            self._engine.load(job.weights)
            self._newest[job.policy.name] = job.weights
            if job.sampling is not None:
                job.batch = self._engine.begin(job.prompts, job.sampling, job.policy)
        except Exception as error:
            job.done.set_exception(error)
        else:
            if job.batch is None:
                job.done.set_result([])
            else:
                self._under_way.append(job)

    def _step(self) -> None:
        try:
            outputs = self._engine.step()
        except Exception as error:
            logger.exception("a step of vLLM failed")
            for job in self._under_way:
                job.done.set_exception(error)
            self._under_way.clear()
            self._broken()
            return
        for job in list(self._under_way):
            batch = job.batch
            assert batch is not None
            job.outputs |= {n: outputs[n] for n in batch.request_ids if n in outputs}
            if len(job.outputs) == len(batch.request_ids):
                self._under_way.remove(job)
                _settle(job.done, partial(self._engine.finish, batch, job.outputs))

    def _abort(self, jobs: Sequence[_Job]) -> None:
        for job in jobs:
            assert job.batch is not None
            self._engine.abort(job.batch)
            self._under_way.remove(job)
            job.done.set_exception(AbortedError("new weights came before the completions' end"))


def _shared(policy: Policy) -> tuple[Policy | None, bool]:
    """What policies of one batch have in common: the full weights, and whether under an adapter."""
    return (policy if policy.form == "weights" else None), policy.form == "adapter"


def _settle(done: "Future[Any]", action: Callable[[], Any]) -> None:
    try:
        done.set_result(action())
    except Exception as error:
        done.set_exception(error)
