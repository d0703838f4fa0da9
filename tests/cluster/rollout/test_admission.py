"""Admission of prompts: which start when, on a clockless event loop."""

import asyncio
import random

import pytest

from cluster.rollout.admission import Admission, SequenceLimit


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


class Prompts:
    """Prompts of steps that are admitted, and end when the test says so."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self._ends: dict[str, asyncio.Event] = {}

    def add(self, name: str, admission: Admission, sequences: int = 1) -> None:
        async def sample() -> None:
            async with admission.admit(sequences):
                self.started.append(name)
                await self._ends[name].wait()

        self._ends[name] = asyncio.Event()
        self.tasks[name] = asyncio.ensure_future(sample())

    async def end(self, name: str) -> None:
        self._ends[name].set()
        await self.tasks[name]
        await settle()


def test_earlier_steps_come_first_as_others_end() -> None:
    async def run() -> None:
        limit, prompts = SequenceLimit(4), Prompts()
        steps = [Admission(number, limit) for number in range(3)]
        for step in steps[:2]:
            step.gate.set_result(None)
        prompts.add("late", steps[2], 4)
        prompts.add("b", steps[1], 2)
        await settle()
        prompts.add("c", steps[1], 4)
        await settle()
        prompts.add("a", steps[0], 3)  # overtakes, but has no room yet
        await settle()
        assert prompts.started == ["b"]
        await prompts.end("b")
        assert prompts.started == ["b", "a"]
        await prompts.end("a")
        assert prompts.started == ["b", "a", "c"]
        steps[2].gate.set_result(None)
        await settle()
        assert prompts.started == ["b", "a", "c"]
        await prompts.end("c")
        assert prompts.started == ["b", "a", "c", "late"]

    asyncio.run(run())


def test_without_a_limit_the_gate_alone_decides() -> None:
    async def run() -> None:
        prompts, admission = Prompts(), Admission(0, None)
        prompts.add("a", admission, 100)
        await settle()
        assert not prompts.started
        admission.gate.set_result(None)
        await settle()
        assert prompts.started == ["a"]

    asyncio.run(run())


@pytest.mark.parametrize("seed", range(20))
def test_the_limit_holds_whatever_is_cancelled(seed: int) -> None:
    async def run() -> None:
        draw = random.Random(seed)
        limit, prompts = SequenceLimit(8), Prompts()
        sizes: dict[str, int] = {}
        for number in range(60):
            admission = Admission(draw.randrange(3), limit)
            admission.gate.set_result(None)
            sizes[str(number)] = draw.randint(1, 8)
            prompts.add(str(number), admission, sizes[str(number)])
            if draw.random() < 0.7:
                await settle()
            open_ = [name for name, task in prompts.tasks.items() if not task.done()]
            for name in draw.sample(open_, min(len(open_), draw.randrange(3))):
                if draw.random() < 0.5:
                    prompts.tasks[name].cancel()
                elif name in prompts.started:
                    await prompts.end(name)
            await settle()
            running = [n for n in prompts.started if not prompts.tasks[n].done()]
            assert sum(sizes[name] for name in running) <= 8
            waiting = [n for n in open_ if n not in prompts.started and not prompts.tasks[n].done()]
            assert running or not waiting
        while any(not task.done() for task in prompts.tasks.values()):
            for name in [n for n in prompts.started if not prompts.tasks[n].done()]:
                await prompts.end(name)
        cancelled = {name for name, task in prompts.tasks.items() if task.cancelled()}
        assert cancelled | set(prompts.started) == sizes.keys()

    asyncio.run(run())
