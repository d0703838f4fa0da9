"""Several callers of one engine: an engine of a few lines that finishes a prompt in two steps."""

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cluster.inference.engine_loop import EngineLoop
from physrl.errors import AbortedError, GenerationError
from physrl.protocols import Sampling

pytest.importorskip("vllm")
SAMPLING = Sampling(1, 0.0, 1, 0)


class Batch:
    def __init__(self, request_ids: tuple[str, ...]) -> None:
        self.request_ids = request_ids


class TwoStepEngine:
    """Remembers what was under way together; moves only when it is told to."""

    def __init__(self) -> None:
        self.left: dict[str, int] = {}
        self.together: list[set[str]] = []
        self.go = threading.Semaphore(0)
        self.broken = False

    def begin(self, prompts: Sequence[str], sampling: Sampling) -> Batch:
        if "too long" in prompts:
            raise GenerationError("a prompt is too long")
        self.left |= dict.fromkeys(prompts, 2)
        return Batch(tuple(prompts))

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


@pytest.fixture
def loop(engine: TwoStepEngine) -> Any:
    return EngineLoop(engine, broken=lambda: engine.go.release(1000))


def until(condition: Any) -> None:
    while not condition():
        time.sleep(0.001)


def test_prompts_join_what_is_under_way(engine: TwoStepEngine, loop: EngineLoop) -> None:
    with ThreadPoolExecutor() as callers:
        first = callers.submit(loop.generate, ["a", "b"], SAMPLING)
        until(lambda: "a" in engine.left)
        second = callers.submit(loop.generate, ["c"], SAMPLING)
        until(lambda: loop._waiting)
        for _ in range(3):
            engine.go.release()
        assert first.result() == ["answer to a", "answer to b"]
        assert second.result() == ["answer to c"]
    assert engine.together == [{"a", "b"}, {"a", "b", "c"}, {"c"}]


def test_new_weights_wait_for_what_is_under_way_and_hold_back_the_rest(
    engine: TwoStepEngine, loop: EngineLoop
) -> None:
    seen: list[set[str]] = []
    with ThreadPoolExecutor() as callers:
        first = callers.submit(loop.generate, ["a"], SAMPLING)
        until(lambda: "a" in engine.left)
        load = callers.submit(loop.between, lambda: seen.append(set(engine.left)), aborts=False)
        until(lambda: loop._waiting)
        second = callers.submit(loop.generate, ["b"], SAMPLING)
        for _ in range(4):
            engine.go.release()
        assert (first.result(), second.result()) == (["answer to a"], ["answer to b"])
        load.result()
    assert seen == [set()]
    assert engine.together == [{"a"}, {"a"}, {"b"}, {"b"}]


def test_new_weights_may_end_what_is_under_way(engine: TwoStepEngine, loop: EngineLoop) -> None:
    with ThreadPoolExecutor() as callers:
        first = callers.submit(loop.generate, ["a"], SAMPLING)
        until(lambda: "a" in engine.left)
        load = callers.submit(loop.between, lambda: None, aborts=True)
        until(lambda: loop._waiting)
        engine.go.release()  # the step that is under way
        load.result()
        with pytest.raises(AbortedError, match="new weights"):
            first.result()
    assert engine.left == {}


def test_errors_reach_those_that_they_concern(engine: TwoStepEngine, loop: EngineLoop) -> None:
    with ThreadPoolExecutor() as callers:
        good = callers.submit(loop.generate, ["a"], SAMPLING)
        until(lambda: "a" in engine.left)
        engine.go.release()
        with pytest.raises(GenerationError, match="too long"):
            loop.generate(["too long"], SAMPLING)
        engine.go.release()
        assert good.result() == ["answer to a"]

        def fail() -> None:
            raise GenerationError("weights are missing")

        with pytest.raises(GenerationError, match="missing"):
            loop.between(fail, aborts=False)
        engine.broken = True
        engine.go.release()
        with pytest.raises(RuntimeError, match="out of memory"):
            loop.generate(["b"], SAMPLING)
        until(lambda: engine.go._value >= 1000)  # whoever owns it was told
