"""Leakage: duplicates and near-duplicates between held-out and training scenes."""

from collections.abc import Callable
from itertools import product
from typing import Any, get_args

from rich.table import Table

from physrl.config.environment import EnvironmentConfig, GeneratorName
from physrl.environments.generators import GENERATORS
from physrl.environments.scene_hash import geometry_hash, scene_hash
from physrl.tasks import TASKS
from physrl.tasks.task import make_scene
from physrl.types import Split

TRAINING, HELD_OUT = 1500, 200
Job = tuple[str, Split, GeneratorName, range]


def hashes(job: Job) -> list[tuple[str, str]]:
    """Compute the scene hash and the geometry hash of each scene."""
    task, split, generator, indices = job
    settings = GENERATORS[generator](EnvironmentConfig())
    scenes = (make_scene(TASKS[task], settings, 0, split, index, generator) for index in indices)
    return [(scene_hash(scene), geometry_hash(scene)) for scene in scenes]


def check(run: Callable[..., list[Any]]) -> tuple[Table, dict[str, Any]]:
    splits = [split for split in get_args(Split) if split != "train"]
    training: list[Job] = [(task, "train", "iid", range(TRAINING)) for task in TASKS]
    held_out: list[Job] = [
        (task, split, generator, range(HELD_OUT))
        for task, split, generator in product(TASKS, splits, GENERATORS)
        if split == "test" or generator == "iid"
    ]
    sampled = dict(
        zip(
            [job[:3] for job in training + held_out],
            run("leakage", hashes, training + held_out),
            strict=True,
        )
    )
    table = Table(
        "set",
        *TASKS,
        title=f"Of {HELD_OUT} scenes: equal and nearly equal to one of {TRAINING} training scenes",
    )
    leaked = 0
    for split, generator in dict.fromkeys(job[1:3] for job in held_out):
        row = []
        for task in TASKS:
            scene_hashes, geometry_hashes = map(
                set, zip(*sampled[task, "train", "iid"], strict=True)
            )
            scenes = sampled[task, split, generator]
            equal = sum(scene in scene_hashes for scene, _ in scenes)
            near = sum(geometry in geometry_hashes for _, geometry in scenes)
            row.append(f"{equal}, {near}")
            leaked += max(equal, near)
        table.add_row(f"{split} {generator}", *row)
    return table, {"leaked_scenes": leaked}
