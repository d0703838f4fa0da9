"""Benchmark of scenes: sampling, simulation, rendering at 224 px and labels.

    python tests/benchmarks/bench_env.py

Prints a table with a row per task and, last, a JSON line. Milliseconds and scenes per second and
core are CPU time, the speedup is wall time: keep the machine idle.
"""

import json
import multiprocessing
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from physrl.config.environment import EnvironmentConfig
from physrl.environments.quiet_bullet import pybullet
from physrl.environments.renderer import RENDERERS, Renderer, make_renderer
from physrl.environments.simulator import Simulator
from physrl.tasks import TASKS
from physrl.tasks.task import make_prompt, make_scene
from physrl.types import Appearance, Camera, Image, Pose

SIZE = 224
SCENES = 60
"""Scenes per task."""
REPEATS = 3
"""Repetitions, of which the fastest counts because the machine may be shared."""
SPEEDUP_SCENES = 480
SPEEDUP_JOBS = 12


class Stopwatch:
    """The total CPU seconds of the calls to wrapped functions."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            start = time.process_time()
            result = function(*args, **kwargs)
            self.seconds += time.process_time() - start
            return result

        return timed


@contextmanager
def timed_steps(stopwatch: Stopwatch) -> Iterator[None]:
    """Time the steps of simulators."""
    step = pybullet.stepSimulation
    pybullet.stepSimulation = stopwatch.wrap(step)
    yield
    pybullet.stepSimulation = step


class TimedRenderer:
    """A renderer whose calls are timed."""

    def __init__(self, renderer: Renderer, stopwatch: Stopwatch) -> None:
        self._renderer, self._render = renderer, stopwatch.wrap(renderer.render)

    def render(self, poses: list[Pose], camera: Camera, appearance: Appearance, size: int) -> Image:
        return self._render(poses, camera, appearance, size)

    def close(self) -> None:
        self._renderer.close()


@dataclass(frozen=True)
class Cost:
    """CPU milliseconds per scene."""

    total: float
    inside: float
    """Time in physics steps and the renderer."""
    rendering: float


def scenes(task_name: str, settings: EnvironmentConfig, indices: range, renderer: Renderer) -> None:
    """Sample, render, simulate and label scenes."""
    task, simulator = TASKS[task_name], Simulator()
    for index in indices:
        scene = make_scene(task, settings, 0, "train", index)
        make_prompt(task, scene, renderer, SIZE, reasoning=False)
        task.act(scene, task.ideal(scene), simulator)
        task.target(scene)
    simulator.close()


def cost(task_name: str, settings: EnvironmentConfig) -> Cost:
    steps, images = Stopwatch(), Stopwatch()
    renderer = TimedRenderer(make_renderer(settings), images)
    scenes(task_name, settings, range(4), renderer)  # imports and caches
    steps.seconds = images.seconds = 0.0
    with timed_steps(steps):
        start = time.process_time()
        scenes(task_name, settings, range(4, 4 + SCENES), renderer)
        total = time.process_time() - start
    renderer.close()
    scale = 1000 / SCENES
    return Cost(total * scale, (steps.seconds + images.seconds) * scale, images.seconds * scale)


def work(indices: range) -> None:
    """Run one job of the speedup measurement."""
    settings = EnvironmentConfig()
    renderer = make_renderer(settings)
    scenes("stability", settings, indices, renderer)
    renderer.close()


def speedup() -> float:
    """Measure the wall time of one process over that of two, for the same scenes."""
    length = SPEEDUP_SCENES // SPEEDUP_JOBS
    jobs = [range(k * length, (k + 1) * length) for k in range(SPEEDUP_JOBS)]
    seconds = {}
    for workers in (1, 2):
        with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
            list(pool.map(work, [range(40)] * (2 * workers)))  # start processes and import
            start = time.perf_counter()
            list(pool.map(work, jobs))
            seconds[workers] = time.perf_counter() - start
    return seconds[1] / seconds[2]


def main() -> None:
    table = Table("task", "renderer", "ms per scene", "steps and renderer", "overhead", "image ms")
    costs: dict[tuple[str, str], Cost] = {}
    for renderer in RENDERERS:
        settings = EnvironmentConfig(
            renderer=renderer, randomization="none" if renderer == "tiny" else "photo"
        )
        for task in TASKS:
            best = min((cost(task, settings) for _ in range(REPEATS)), key=lambda cost: cost.total)
            costs[renderer, task] = best
            table.add_row(
                task,
                renderer,
                f"{best.total:.1f}",
                f"{best.inside:.1f}",
                f"{best.total / best.inside:.2f}",
                f"{best.rendering:.1f}",
            )
    Console(width=100).print(table)
    default = [cost for (renderer, _), cost in costs.items() if renderer == "tiny"]
    figures = {
        "scenes_per_s": 1000 * len(default) / sum(cost.total for cost in default),
        "overhead_ratio": sum(cost.total for cost in default)
        / sum(cost.inside for cost in default),
        "two_process_speedup": max(speedup() for _ in range(REPEATS)),
    } | {
        f"{name}_ms_224": min(
            cost.rendering for (renderer, _), cost in costs.items() if renderer == name
        )
        for name in RENDERERS
    }
    print(json.dumps({key: round(value, 2) for key, value in figures.items()}))


if __name__ == "__main__":
    main()
