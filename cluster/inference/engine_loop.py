"""Keeps one engine busy with the prompts of several callers: continuous batching.

generate, load (any thread) --> waiting jobs --> the engine's own thread:
    loads wait until nothing is under way (or end it), prompts join what is under way,
    a step of the engine, finished batches back to their callers
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
from physrl.errors import AbortedError
from physrl.protocols import Sampling
from physrl.types import Generation, Prompt

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Generate:
    """A caller's prompts, and once they are begun what is finished of them."""

    prompts: Sequence[Prompt]
    sampling: Sampling
    done: "Future[list[Generation]]" = field(default_factory=Future)
    batch: Batch | None = None
    outputs: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class _Between:
    """Something that is done to the engine while nothing is under way."""

    action: Callable[[], None]
    aborts: bool
    done: "Future[None]" = field(default_factory=Future)


class EngineLoop:
    """Owns an engine; its methods may be called from any thread and wait for their results.

    Args:
        broken: called when a step of the engine fails, after which it is of no use.
    """

    def __init__(self, engine: VLLMEngine, broken: Callable[[], None]) -> None:
        self._engine, self._broken = engine, broken
        self._waiting: deque[_Generate | _Between] = deque()
        self._under_way: list[_Generate] = []
        self._arrived = threading.Condition()
        threading.Thread(target=self._run, daemon=True, name="engine").start()

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Generation]:
        """One group of completions a prompt, in their order, beside what other callers asked for.

        Raises:
            GenerationError: as `VLLMEngine.begin` and `finish`.
            AbortedError: something that does not wait came between.
        """
        job = _Generate(prompts, sampling)
        self._submit(job)
        return job.done.result()

    def between(self, action: Callable[[], None], *, aborts: bool) -> None:
        """Do something to the engine while nothing is under way.

        Args:
            aborts: end what is under way, instead of waiting for it; its callers get an
                AbortedError.
        """
        job = _Between(action, aborts)
        self._submit(job)
        job.done.result()

    def _submit(self, job: "_Generate | _Between") -> None:
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
        """Begin what waits, in its order, up to something that has to wait itself."""
        while self._waiting:
            job = self._waiting[0]
            if isinstance(job, _Between):
                if job.aborts:
                    self._abort_all()
                if self._under_way:
                    return
                _settle(job.done, job.action)
            else:
                self._begin(job)
            self._waiting.popleft()

    def _begin(self, job: _Generate) -> None:
        try:
            job.batch = self._engine.begin(job.prompts, job.sampling)
        except Exception as error:
            job.done.set_exception(error)
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

    def _abort_all(self) -> None:
        for job in self._under_way:
            assert job.batch is not None
            self._engine.abort(job.batch)
            job.done.set_exception(AbortedError("new weights came before the completions' end"))
        self._under_way.clear()


def _settle(done: "Future[Any]", action: Callable[[], Any]) -> None:
    try:
        done.set_result(action())
    except Exception as error:
        done.set_exception(error)
