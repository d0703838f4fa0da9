"""Continuous batching of the requests of several callers on one engine.

generate, load (any thread) --> waiting jobs --> the engine's own thread, in a loop:
    start waiting jobs that may run together with the running ones (others wait, or abort those),
    run a step of the engine, return finished batches to their callers

Policies, and versions of a policy, run together if they have the same full weights and either all
or none of them have an adapter: vLLM 0.32 on CPU applies the adapter of the last slot to prompts
without an adapter if others in the batch have one.
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
from cluster.weights.sync import FetchedWeights, Policy
from physrl.errors import AbortedError
from physrl.protocols import Sampling
from physrl.types import Generation, Prompt

logger = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Job:
    """The requests of a caller; none if a policy is only to be loaded."""

    weights: FetchedWeights
    begin: Callable[[Policy], Batch] | None = None
    """Submits the requests."""
    finish: Callable[[Batch, dict[str, Any]], Any] = lambda batch, outputs: []
    """Converts the outputs for the caller."""
    done: "Future[Any]" = field(default_factory=Future)
    batch: Batch | None = None
    outputs: dict[str, Any] = field(default_factory=dict)

    @property
    def policy(self) -> Policy:
        return self.weights.policy


@dataclass(slots=True, eq=False)
class _Exclusive:
    """An action that must run while no job is running."""

    action: Callable[[], None]
    done: "Future[None]" = field(default_factory=Future)


class EngineLoop:
    """The thread that runs an engine; its methods may be called from any thread, and block.

    Args:
        max_adapters: largest number of adapters in a batch, each version counted.
        aborts: True if a newer version of a policy aborts the running completions of older ones,
            whose callers get an AbortedError; False if it waits for them, or joins them if both are
            adapters.
        on_failure: called after a step of the engine has failed, which leaves it unusable.
    """

    def __init__(
        self,
        engine: VLLMEngine,
        *,
        on_failure: Callable[[], None],
        max_adapters: int = 1,
        aborts: bool = False,
    ) -> None:
        self._engine, self._on_failure = engine, on_failure
        self._max_adapters, self._aborts = max_adapters, aborts
        self._waiting: deque[_Job | _Exclusive] = deque()
        self._running: list[_Job] = []
        self._newest: dict[str, FetchedWeights] = {}
        """Newest loaded weights of each policy, by name."""
        self._arrived = threading.Condition()
        threading.Thread(target=self._run, daemon=True, name="engine").start()

    def generate(
        self, prompts: Sequence[Prompt], sampling: Sampling, weights: FetchedWeights
    ) -> list[Generation]:
        """Sample a group of completions for each prompt, from a policy or a newer version of it.

        Raises:
            GenerationError: see `VLLMEngine.load`, `begin` and `finish`.
            AbortedError: a newer version of the policy aborted the completions.
        """
        begin = partial(self._engine.begin, prompts, sampling)
        job = _Job(weights, begin, self._engine.finish)
        self._submit(job)
        generations: list[Generation] = job.done.result()
        return generations

    def score(
        self,
        prompts: Sequence[Prompt],
        texts: Sequence[tuple[int, ...]],
        weights: FetchedWeights,
    ) -> list[tuple[float, ...]]:
        """Score the tokens of a text after each prompt, under a policy or a newer version of it.

        Raises:
            GenerationError: see `VLLMEngine.load`, `begin_scoring` and `finish_scoring`.
            AbortedError: a newer version of the policy aborted the scores.
        """
        begin = partial(self._engine.begin_scoring, prompts, texts)
        job = _Job(weights, begin, self._engine.finish_scoring)
        self._submit(job)
        scores: list[tuple[float, ...]] = job.done.result()
        return scores

    def load(self, weights: FetchedWeights) -> None:
        """Load the weights of a policy, for later requests.

        Raises:
            GenerationError: see `VLLMEngine.load`.
        """
        job = _Job(weights)
        self._submit(job)
        job.done.result()

    def run_exclusive(self, action: Callable[[], None]) -> None:
        """Run an action while no job is running."""
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
                self._arrived.wait_for(lambda: self._waiting or self._running)
            self._start_waiting()
            if self._running:
                self._step()

    def _start_waiting(self) -> None:
        """Start the waiting jobs in their order, up to one that cannot run with the others.

        If the engine was idle, later jobs that can run with the first overtake those that cannot,
        since they need no other weights.
        """
        idle = not self._running
        for job in tuple(self._waiting):
            if isinstance(job, _Exclusive):
                if self._running:
                    return
                _resolve(job.done, job.action)
            elif self._can_join(job):
                self._begin(job)
            elif idle:
                continue
            else:
                return
            self._waiting.remove(job)

    def _can_join(self, job: _Job) -> bool:
        """Return whether a job may run with the running ones, after aborting older versions."""
        newest = self._newest.get(job.policy.name)
        if newest is not None and newest.policy.version > job.policy.version:
            job.weights = newest
        policy = job.policy
        superseded = [
            other
            for other in self._running
            if other.policy.name == policy.name and other.policy.version < policy.version
        ]
        if superseded and self._aborts:
            self._abort(superseded)
        others = [other.policy for other in self._running]
        adapters = {
            (each.name, each.version) for each in (*others, policy) if each.form == "adapter"
        }
        return len(adapters) <= self._max_adapters and all(
            _batch_key(other) == _batch_key(policy) for other in others
        )

    def _begin(self, job: _Job) -> None:
        try:
            self._engine.load(job.weights)
            self._newest[job.policy.name] = job.weights
            if job.begin is not None:
                job.batch = job.begin(job.policy)
        except Exception as error:
            job.done.set_exception(error)
        else:
            if job.batch is None:
                job.done.set_result([])
            else:
                self._running.append(job)

    def _step(self) -> None:
        try:
            outputs = self._engine.step()
        except Exception as error:
            logger.exception("vLLM failed in a step")
            for job in self._running:
                job.done.set_exception(error)
            self._running.clear()
            self._on_failure()
            return
        for job in list(self._running):
            batch = job.batch
            assert batch is not None
            job.outputs |= {n: outputs[n] for n in batch.request_ids if n in outputs}
            if len(job.outputs) == len(batch.request_ids):
                self._running.remove(job)
                _resolve(job.done, partial(job.finish, batch, job.outputs))

    def _abort(self, jobs: Sequence[_Job]) -> None:
        for job in jobs:
            assert job.batch is not None
            self._engine.abort(job.batch)
            self._running.remove(job)
            job.done.set_exception(AbortedError("completions were aborted for newer weights"))


def _batch_key(policy: Policy) -> tuple[Policy | None, bool]:
    """Return the properties that policies of one batch share: full weights, use of adapters."""
    return (policy if policy.form == "weights" else None), policy.form == "adapter"


def _resolve(done: "Future[Any]", action: Callable[[], Any]) -> None:
    try:
        done.set_result(action())
    except Exception as error:
        done.set_exception(error)
