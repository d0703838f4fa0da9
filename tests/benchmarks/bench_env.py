"""How fast scenes are: sampled, settled, rendered at 224 px and labelled.

    python tests/benchmarks/bench_env.py

Prints a line a task and, last, one JSON line. Milliseconds are CPU time, scenes a second and core
are of CPU time too, the speedup is of wall time: leave the machine idle.
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
"""Of each task."""
REPEATS = 3
"""The best of these counts: others share the machine."""
SPEEDUP_SCENES = 480
SPEEDUP_JOBS = 12


class Stopwatch:
    """Adds up the CPU seconds of the calls that it watches."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def watch(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            start = time.process_time()
            result = function(*args, **kwargs)
            self.seconds += time.process_time() - start
            return result

        return timed


@contextmanager
def watched_steps(stopwatch: Stopwatch) -> Iterator[None]:
    """The simulator's steps run under the stopwatch."""
    step = pybullet.stepSimulation
    pybullet.stepSimulation = stopwatch.watch(step)
    yield
    pybullet.stepSimulation = step


class WatchedRenderer:
    """A renderer under a stopwatch."""

    def __init__(self, renderer: Renderer, stopwatch: Stopwatch) -> None:
        self._renderer, self._render = renderer, stopwatch.watch(renderer.render)

    def render(self, poses: list[Pose], camera: Camera, appearance: Appearance, size: int) -> Image:
        return self._render(poses, camera, appearance, size)

    def close(self) -> None:
        self._renderer.close()


@dataclass(frozen=True)
class Cost:
    """CPU milliseconds a scene."""

    total: float
    inside: float
    """Physics steps and renderer."""
    rendering: float


def scenes(task_name: str, settings: EnvironmentConfig, indices: range, renderer: Renderer) -> None:
    """Sample, settle, render and label."""
    task, simulator = TASKS[task_name], Simulator()
    for index in indices:
        scene = make_scene(task, settings, 0, "train", index)
        make_prompt(task, scene, renderer, SIZE, reasoning=False)
        task.act(scene, task.ideal(scene), simulator)
        task.target(scene)
    simulator.close()


def cost(task_name: str, settings: EnvironmentConfig) -> Cost:
    steps, pictures = Stopwatch(), Stopwatch()
    renderer = WatchedRenderer(make_renderer(settings), pictures)
    scenes(task_name, settings, range(4), renderer)  # imports and caches
    steps.seconds = pictures.seconds = 0.0
    with watched_steps(steps):
        start = time.process_time()
        scenes(task_name, settings, range(4, 4 + SCENES), renderer)
        total = time.process_time() - start
    renderer.close()
    a_scene = 1000 / SCENES
    return Cost(
        total * a_scene, (steps.seconds + pictures.seconds) * a_scene, pictures.seconds * a_scene
    )


def work(indices: range) -> None:
    """A part of the work whose speedup is measured."""
    settings = EnvironmentConfig()
    renderer = make_renderer(settings)
    scenes("stability", settings, indices, renderer)
    renderer.close()


def speedup() -> float:
    """Wall time of one process over that of two, each on the same scenes."""
    length = SPEEDUP_SCENES // SPEEDUP_JOBS
    jobs = [range(k * length, (k + 1) * length) for k in range(SPEEDUP_JOBS)]
    seconds = {}
    for workers in (1, 2):
        with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
            list(pool.map(work, [range(40)] * (2 * workers)))  # start and import
            start = time.perf_counter()
            list(pool.map(work, jobs))
            seconds[workers] = time.perf_counter() - start
    return seconds[1] / seconds[2]


def main() -> None:
    table = Table(
        "task", "renderer", "ms a scene", "of it steps and renderer", "overhead", "picture ms"
    )
    costs: dict[tuple[str, str], Cost] = {}
    for renderer in RENDERERS:
        settings = EnvironmentConfig(
            renderer=renderer, randomization="none" if renderer == "tiny" else "photo"
        )
        for task in TASKS:
            best = min((cost(task, settings) for _ in range(REPEATS)), key=lambda one: one.total)
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
        "scenes_per_s": 1000 * len(default) / sum(one.total for one in default),
        "overhead_ratio": sum(one.total for one in default) / sum(one.inside for one in default),
        "two_process_speedup": max(speedup() for _ in range(REPEATS)),
    } | {
        f"{name}_ms_224": min(cost.rendering for (one, _), cost in costs.items() if one == name)
        for name in RENDERERS
    }
    print(json.dumps({key: round(value, 2) for key, value in figures.items()}))


if __name__ == "__main__":
    main()
