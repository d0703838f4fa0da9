"""Determinism: scenes, outcomes and images are bitwise equal for any process and order."""

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
    """Hash each scene with its question, outcome and images."""
    renderer_name, task_name, indices = job
    settings = EnvironmentConfig(
        renderer=renderer_name, randomization="photo", sizes="mixed", image_size=112
    )
    task, simulator, renderer = TASKS[task_name], Simulator(), make_renderer(settings)
    hashes = []
    for index in indices:
        scene = make_scene(task, settings, 0, "test", index)
        prompt = make_prompt(task, scene, renderer, settings.image_size, reasoning=False)
        outcome = task.act(scene, task.ideal(scene), simulator)
        texts = scene_hash(scene) + prompt.text + repr(outcome)
        images = b"".join(image.tobytes() for image in prompt.images)
        hashes.append(hashlib.sha256(texts.encode() + images).hexdigest())
    simulator.close()
    renderer.close()
    return hashes


def total(parts: list[list[str]]) -> str:
    return hashlib.sha256("".join(digest for part in parts for digest in part).encode()).hexdigest()


def check(run: Callable[..., list[Any]]) -> tuple[Table, dict[str, Any]]:
    kinds = list(product(RENDERERS, TASKS))
    whole = [(*kind, range(SCENES)) for kind in kinds]
    small = [(*kind, range(i, i + 4)) for kind in kinds for i in range(0, SCENES, 4)]
    hashes = {
        "this process, task after task": total([digests(job) for job in whole]),
        "two processes, four scenes at a time": total(run("determinism", digests, small)),
    }
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as fresh:
        hashes["a new process, last task first"] = total(
            list(fresh.map(digests, whole[::-1]))[::-1]
        )
    table = Table("processes", "hash", title=f"{len(whole) * SCENES} scenes, outcomes and images")
    for name, digest in hashes.items():
        table.add_row(name, digest[:16])
    return table, {"hashes_equal": len(set(hashes.values())) == 1}
