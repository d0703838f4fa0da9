"""Continuous batching for several callers, on a fake engine that needs two steps for a prompt."""

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cluster.inference.engine_loop import EngineLoop
from cluster.weights.sync import BASE, FetchedWeights, Policy
from physrl.errors import AbortedError, GenerationError
from physrl.protocols import Sampling

pytest.importorskip("vllm")
SAMPLING = Sampling(1, 0.0, 1, 0)
UNTRAINED = FetchedWeights(BASE)


class Batch:
    def __init__(self, request_ids: tuple[str, ...]) -> None:
        self.request_ids = request_ids


class TwoStepEngine:
    """A stand-in for `VLLMEngine` that records its batches, and steps only when released."""

    def __init__(self) -> None:
        self.left: dict[str, int] = {}
        self.together: list[set[str]] = []
        self.loaded: list[tuple[Policy, set[str]]] = []
        self.go = threading.Semaphore(0)
        self.broken = False

    def load(self, weights: FetchedWeights) -> None:
        if weights.policy.source == "missing":
            raise GenerationError("weights are missing")
        self.loaded.append((weights.policy, set(self.left)))

    def begin(self, prompts: Sequence[str], sampling: Sampling, policy: Policy) -> Batch:
        if "too long" in prompts:
            raise GenerationError("a prompt is too long")
        names = [f"{prompt}{policy.version}" for prompt in prompts]
        self.left |= dict.fromkeys(names, 2)
        return Batch(tuple(names))

    def step(self) -> dict[str, str]:
        self.go.acquire()
        if self.broken:
            raise RuntimeError("out of memory")
        self.together.append(set(self.left))
        self.left = {name: steps - 1 for name, steps in self.left.items()}
        done = [name for name, steps in self.left.items() if not steps]
        return {name: f"answer to {name}" for name in done if self.left.pop(name) == 0}

    def finish(self, batch: Batch, outputs: Mapping[str, str]) -> list[str]:
        return [outputs[name] for name in batch.request_ids]

    def abort(self, batch: Batch) -> None:
        for name in batch.request_ids:
            del self.left[name]


@pytest.fixture
def engine() -> TwoStepEngine:
    return TwoStepEngine()


def make_loop(engine: TwoStepEngine, **options: Any) -> EngineLoop:
    return EngineLoop(engine, on_failure=lambda: engine.go.release(1000), **options)  # type: ignore[arg-type]


def until(condition: Any) -> None:
    while not condition():
        time.sleep(0.001)


def adapter(name: str, version: int = 1) -> FetchedWeights:
    return FetchedWeights(Policy(name, version, "adapter", "/somewhere"))


def full(name: str, version: int = 1) -> FetchedWeights:
    return FetchedWeights(Policy(name, version, "weights", "/somewhere"))


class Callers:
    """A caller of `generate` from several threads."""

    def __init__(self, loop: EngineLoop) -> None:
        self.loop, self.threads = loop, ThreadPoolExecutor(8)

    def request(self, prompt: str, weights: FetchedWeights) -> Any:
        """Request a completion; return once the loop has started or queued the request."""
        loop = self.loop
        before = len(loop._waiting) + len(loop._running)
        request = self.threads.submit(loop.generate, [prompt], SAMPLING, weights)
        until(lambda: request.done() or len(loop._waiting) + len(loop._running) > before)
        return request


def test_prompts_join_running_ones(engine: TwoStepEngine) -> None:
    loop = make_loop(engine)
    with ThreadPoolExecutor() as callers:
        first = callers.submit(loop.generate, ["a", "b"], SAMPLING, UNTRAINED)
        until(lambda: "a0" in engine.left)
        second = callers.submit(loop.generate, ["c"], SAMPLING, UNTRAINED)
        until(lambda: loop._waiting)
        for _ in range(3):
            engine.go.release()
        assert first.result() == ["answer to a0", "answer to b0"]
        assert second.result() == ["answer to c0"]
    assert engine.together == [{"a0", "b0"}, {"a0", "b0", "c0"}, {"c0"}]


@pytest.mark.parametrize("form", [adapter, full])
def test_a_newer_version_waits_for_the_older_and_holds_back_the_rest(
    engine: TwoStepEngine, form: Any
) -> None:
    loop, new = make_loop(engine), form("policy", 1)
    callers = Callers(loop)
    first = callers.request("a", UNTRAINED)
    until(lambda: "a0" in engine.left)
    load = callers.threads.submit(loop.load, new)
    until(lambda: loop._waiting)
    second = callers.request("b", UNTRAINED)  # of an older version: it gets the newer one
    engine.go.release(4)
    assert (first.result(), second.result()) == (["answer to a0"], ["answer to b1"])
    load.result()
    assert (new.policy, set()) in engine.loaded
    assert engine.together == [{"a0"}, {"a0"}, {"b1"}, {"b1"}]


def test_a_newer_version_may_abort_the_older(engine: TwoStepEngine) -> None:
    loop = make_loop(engine, aborts=True)
    callers = Callers(loop)
    first = callers.request("a", UNTRAINED)
    until(lambda: "a0" in engine.left)
    load = callers.threads.submit(loop.load, full("policy", 1))
    until(lambda: loop._waiting)
    engine.go.release()
    load.result()
    with pytest.raises(AbortedError):
        first.result()
    assert engine.left == {}


def test_a_newer_adapter_joins_the_older_where_there_is_room(engine: TwoStepEngine) -> None:
    loop = make_loop(engine, max_adapters=2)
    callers = Callers(loop)
    requests = [callers.request("a", adapter("policy", 1))]
    until(lambda: "a1" in engine.left)
    requests.append(callers.request("b", adapter("policy", 2)))
    requests.append(callers.request("c", adapter("policy", 1)))  # of an older version
    requests.append(callers.request("d", adapter("policy", 3)))  # no room for a third
    engine.go.release(10)
    answers = [each.result()[0] for each in requests]
    assert answers == [f"answer to {name}" for name in ("a1", "b2", "c2", "d3")]
    assert engine.together == [{"a1"}, {"a1", "b2", "c2"}, {"b2", "c2", "d3"}, {"d3"}]


def test_adapters_share_a_batch_up_to_the_maximum(engine: TwoStepEngine) -> None:
    callers = Callers(make_loop(engine, max_adapters=2))
    requests = [callers.request("a", adapter("x"))]
    until(lambda: engine.left)
    requests += [callers.request("b", adapter("y")), callers.request("c", adapter("z"))]
    engine.go.release(10)
    assert [each.result() for each in requests] == [[f"answer to {name}1"] for name in "abc"]
    assert max(len(batch) for batch in engine.together) == 2
    assert {"a1", "b1"} in engine.together


def test_other_full_weights_wait_and_equal_ones_overtake(
    engine: TwoStepEngine,
) -> None:
    callers = Callers(make_loop(engine, max_adapters=8))
    requests = [callers.request("a", adapter("x"))]
    until(lambda: engine.left)
    other, base = full("other"), FetchedWeights(Policy("base"))
    later = {"b": other, "c": base, "d": other}
    requests += [callers.request(name, weights) for name, weights in later.items()]
    engine.go.release(20)
    for each in requests:
        each.result()
    assert [batch for batch in engine.together if len(batch) > 1] == [{"b1", "d1"}] * 2
    assert engine.together == [{"a1"}] * 2 + [{"b1", "d1"}] * 2 + [{"c0"}] * 2


def test_an_exclusive_action_waits_and_holds_back_the_rest(engine: TwoStepEngine) -> None:
    loop = make_loop(engine)
    callers, seen = Callers(loop), []
    first = callers.request("a", UNTRAINED)
    until(lambda: "a0" in engine.left)
    slept = callers.threads.submit(loop.run_exclusive, lambda: seen.append(set(engine.left)))
    until(lambda: loop._waiting)
    second = callers.request("b", UNTRAINED)
    engine.go.release(4)
    assert (first.result(), second.result()) == (["answer to a0"], ["answer to b0"])
    slept.result()
    assert seen == [set()]
    assert engine.together == [{"a0"}, {"a0"}, {"b0"}, {"b0"}]


def test_errors_reach_only_their_callers(engine: TwoStepEngine) -> None:
    loop = make_loop(engine)
    callers = Callers(loop)
    good = callers.request("a", UNTRAINED)
    until(lambda: "a0" in engine.left)
    engine.go.release()
    with pytest.raises(GenerationError, match="too long"):
        loop.generate(["too long"], SAMPLING, UNTRAINED)
    engine.go.release()
    assert good.result() == ["answer to a0"]
    with pytest.raises(GenerationError, match="missing"):
        loop.load(FetchedWeights(Policy("other", 1, "weights", "missing")))
    engine.broken = True
    engine.go.release()
    with pytest.raises(RuntimeError, match="out of memory"):
        loop.generate(["b"], SAMPLING, UNTRAINED)
    until(lambda: engine.go._value >= 1000)  # `on_failure` was called
