"""Servers and workers that only wait, as threads of this process behind the interface of actors.

Pools, batching, admission, the servers' engine loops and the queue of steps are the real ones.
"""

import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, NamedTuple

import cluster  # noqa: F401  (before Ray, whose token it sets)

# isort: split
import numpy as np
import ray

from cluster.inference.server import InferenceServer
from cluster.inference.servers import InferenceServers, load_each
from cluster.rollout.worker import RolloutWorker, StateSummary
from cluster.rollout.workers import Rollouts
from cluster.runtime.actor_pool import start_pool
from cluster.runtime.batching import Layout, unpack
from cluster.runtime.event_loop import EventLoop
from cluster.weights.sync import FetchedWeights, Policy
from physrl.config.model import ModelConfig
from physrl.config.runtime import RuntimeConfig
from physrl.environments.randomness import stream
from physrl.evaluation.results import Answer
from physrl.protocols import RolloutRequest, Sampling
from physrl.tracing import Trace
from physrl.types import Generation, Prompt
from tests.support.answers import make_answer

TOKEN_S = 0.01
"""Seconds that a token takes; a server's sequences do not slow each other."""
STEP_S = 0.02
"""Longest step of an engine, after which it admits what has arrived."""
WORK_S = 0.01
"""Seconds for which a worker renders a scene, or simulates a group."""
MEDIAN, SIGMA = 250, 0.5


class Interval(NamedTuple):
    """The time in which a sequence is generated, in seconds of the monotonic clock."""

    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class WaitingBatch:
    """Prompts that were submitted together."""

    prompts: tuple[Prompt, ...]
    request_ids: tuple[str, ...]


class WaitingEngine:
    """A stand-in for `VLLMEngine`: a fixed number of slots, a fixed rate a sequence."""

    def __init__(self, runtime: RuntimeConfig, lengths: "Lengths") -> None:
        self._lengths, self._free = lengths, runtime.max_num_seqs
        self._queued: deque[tuple[str, int]] = deque()
        """Requests and lengths of the sequences that wait for a slot."""
        self._running: list[tuple[float, str]] = []
        self._left: dict[str, int] = {}
        """Number of unfinished sequences of each request."""
        self._number = 0
        self.intervals: list[Interval] = []

    def load(self, weights: FetchedWeights) -> None:
        """Load nothing."""

    def begin(self, prompts: Sequence[Prompt], sampling: Sampling, policy: Policy) -> WaitingBatch:
        names = []
        for prompt in prompts:
            self._number += 1
            names.append(str(self._number))
            self._left[names[-1]] = sampling.group_size
            lengths = self._lengths.draw(prompt, sampling)
            self._queued.extend((names[-1], length) for length in lengths)
        self._fill()
        return WaitingBatch(tuple(prompts), tuple(names))

    def step(self) -> dict[str, str]:
        first = min(end for end, _ in self._running)
        time.sleep(max(0.0, min(first - time.monotonic(), STEP_S)))
        now = time.monotonic()
        ended = [name for end, name in self._running if end <= now]
        self._running = [each for each in self._running if each[0] > now]
        self._free += len(ended)
        for name in ended:
            self._left[name] -= 1
        self._fill()
        return {name: name for name in set(ended) if self._left[name] == 0}

    def finish(self, batch: WaitingBatch, outputs: Mapping[str, str]) -> list[Generation]:
        return [Generation((), ())] * len(batch.prompts)

    def _fill(self) -> None:
        now = time.monotonic()
        while self._free and self._queued:
            name, length = self._queued.popleft()
            self._free -= 1
            self._running.append((now + length * TOKEN_S, name))
            self.intervals.append(Interval(now, now + length * TOKEN_S))


@dataclass(frozen=True, slots=True)
class Lengths:
    """Lengths of completions, which depend on their prompt alone."""

    fixed: int | None = None
    """One length for all; None for lognormal ones."""

    def draw(self, prompt: Prompt, sampling: Sampling) -> list[int]:
        """Draw the length of each completion of a prompt."""
        if self.fixed is not None:
            return [self.fixed] * sampling.group_size
        draw = stream(f"{sampling.seed}/lengths/{prompt.prompt_id}", 0)
        lengths = draw.lognormal(np.log(MEDIAN), SIGMA, sampling.group_size)
        return [max(1, min(int(length), sampling.max_tokens)) for length in lengths]


class WaitingServer(InferenceServer):
    """A server with an engine that waits."""

    lengths = Lengths()

    def start_engine(self, model: Any, runtime: RuntimeConfig, seed: int, adapters: int) -> Any:
        return WaitingEngine(runtime, self.lengths)

    @property
    def intervals(self) -> list[Interval]:
        """The time of each sequence up to now."""
        engine: Any = self._engine
        return list(engine.intervals)


@dataclass(frozen=True, slots=True)
class WaitingState:
    """A stand-in for `GroupState`."""

    summary: StateSummary
    prompts: tuple[Prompt, ...] = ()


class WaitingWorker(RolloutWorker):
    """A worker that waits instead of rendering and simulating."""

    def __init__(self) -> None:
        """Make no world."""

    def prepare(self, request: RolloutRequest, layout: Layout, *objects: Any) -> tuple[Any, ...]:
        states = []
        for index, _ in unpack(layout, objects):
            time.sleep(WORK_S)
            prompt = Prompt(request.source.scene_id(index), ())
            summary = StateSummary(index, request.source.task, (prompt.prompt_id,), ())
            states.append(WaitingState(summary, (prompt,)))
        return [state.summary for state in states], *states

    def act(self, request: RolloutRequest, layout: Layout, *objects: Any) -> tuple[Any, ...]:
        states = []
        for _, (state, *_) in unpack(layout, objects):
            time.sleep(WORK_S)
            before = state.summary
            states.append(WaitingState(StateSummary(before.index, before.task, (), ())))
        return [state.summary for state in states], *states

    def answers(self, *states: Any) -> list[Answer]:
        return [make_answer(state.summary.index) for state in states]


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """A stand-in for Ray's reference to a result."""

    result: "Future[Any]" = field(default_factory=Future)

    def future(self) -> "Future[Any]":
        return self.result


def put(value: Any) -> Reference:
    """Stand in for Ray's `put`."""
    reference = Reference()
    reference.result.set_result(value)
    return reference


class Handle:
    """A stand-in for the handle of an actor: calls run in threads of this process."""

    def __init__(self, actor: Any, concurrency: int) -> None:
        self.actor = actor
        self._threads = ThreadPoolExecutor(concurrency)

    def __getattr__(self, method: str) -> Any:
        if method.startswith("_"):
            raise AttributeError(method)

        def remote(returns: int, *arguments: Any) -> Any:
            references = [Reference() for _ in range(returns)]
            self._threads.submit(self._call, method, arguments, references)
            return references if returns > 1 else references[0]

        return SimpleNamespace(
            remote=lambda *arguments: remote(1, *arguments),
            options=lambda num_returns: SimpleNamespace(
                remote=lambda *arguments: remote(num_returns, *arguments)
            ),
        )

    def _call(self, method: str, arguments: Sequence[Any], references: list[Reference]) -> None:
        resolved = [
            each.result.result() if isinstance(each, Reference) else each for each in arguments
        ]
        try:
            value = getattr(self.actor, method)(*resolved)
        except Exception as error:
            for reference in references:
                reference.result.set_exception(error)
            return
        for reference, each in zip(
            references, value if len(references) > 1 else [value], strict=True
        ):
            reference.result.set_result(each)


class WaitingActors:
    """A stand-in for `RolloutActors`."""

    def __init__(self, runtime: RuntimeConfig, adapters: int, lengths: Lengths) -> None:
        WaitingServer.lengths = lengths
        threading.stack_size(1 << 18)  # there are hundreds
        ray.put = put
        self.loop = EventLoop()
        room = load_each(runtime)
        model = ModelConfig(path="/nowhere")

        def server(number: int) -> Any:
            return Handle(WaitingServer(model, runtime, number, adapters), room + 2)

        def worker(number: int) -> Any:
            return Handle(WaitingWorker(), 1)

        options: dict[str, Any] = {"timeout_s": 600, "start_timeout_s": 60, "trace": Trace()}
        pool = start_pool("server", server, runtime.inference_servers, load_each=room, **options)
        self.servers = InferenceServers(self.loop.run(pool), runtime, self.loop)
        pool = start_pool("worker", worker, runtime.rollout_workers, load_each=1, **options)
        self.rollouts = Rollouts(self.loop.run(pool), self.servers, runtime, self.loop)

    def intervals(self) -> list[list[Interval]]:
        """The time of each sequence up to now, by server."""
        handles: list[Any] = self.servers.pool.handles
        return [handle.actor.intervals for handle in handles]
