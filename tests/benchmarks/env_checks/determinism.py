"""Scenes, outcomes and pictures are the same bits in any process, however the work is split."""

import hashlib
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from typing import Any

from rich.table import Table

from physrl.config.environment import EnvironmentConfig
from physrl.environments.renderer import RENDERERS, make_renderer
from physrl.environments.scene_hash import scene_hash
from physrl.environments.simulator import Simulator
from physrl.tasks import TASKS
from physrl.tasks.task import make_prompt, make_scene

SCENES = 24
Job = tuple[str, str, range]


def digests(job: Job) -> list[str]:
    """A hash of each scene: what is drawn, how it ends, and the picture."""
    renderer_name, task_name, indices = job
    settings = EnvironmentConfig(
        renderer=renderer_name, randomization="photo", sizes="mixed", image_size=112
    )
    task, simulator, renderer = TASKS[task_name], Simulator(), make_renderer(settings)
    found = []
    for index in indices:
        scene = make_scene(task, settings, 0, "test", index)
        prompt = make_prompt(task, scene, renderer, settings.image_size, reasoning=False)
        outcome = task.act(scene, task.ideal(scene), simulator)
        picture = b"".join(image.tobytes() for image in prompt.images)
        what = scene_hash(scene).encode() + prompt.text.encode() + repr(outcome).encode() + picture
        found.append(hashlib.sha256(what).hexdigest())
    simulator.close()
    renderer.close()
    return found


def total(parts: list[list[str]]) -> str:
    return hashlib.sha256("".join(digest for part in parts for digest in part).encode()).hexdigest()


def check(run: Callable[..., list[Any]]) -> tuple[Table, dict[str, Any]]:
    kinds = list(product(RENDERERS, TASKS))
    whole = [(*kind, range(SCENES)) for kind in kinds]
    small = [(*kind, range(i, i + 4)) for kind in kinds for i in range(0, SCENES, 4)]
    ways = {
        "this process, task after task": total([digests(job) for job in whole]),
        "two processes, four scenes at a time": total(run("determinism", digests, small)),
    }
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as fresh:
        ways["a fresh process, last task first"] = total(
            list(fresh.map(digests, whole[::-1]))[::-1]
        )
    table = Table("way", "hash", title=f"{len(whole) * SCENES} scenes, outcomes and pictures")
    for way, digest in ways.items():
        table.add_row(way, digest[:16])
    return table, {"hashes_equal": len(set(ways.values())) == 1}
