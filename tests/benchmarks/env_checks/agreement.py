"""PyBullet against the exact criterion, from 2 to 6 blocks of equal and of mixed sizes."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from rich.table import Table

from physrl.config.environment import SMALLEST_MARGIN, EnvironmentConfig
from physrl.environments.geometry import margin
from physrl.environments.sampling import place_tower, sample_tower
from physrl.environments.simulator import FALL_DISPLACEMENT, Simulator
from physrl.environments.twins import sample_twins

TOWERS_A_JOB = 60
JOBS_A_KIND = 8
YAWS = ((0.3, 0.1), (0.785, 0.25), (0.8, 0.8))
"""As by default, as in photographs, and every block turned its own way."""


@dataclass(frozen=True)
class Job:
    sizes: str
    num_blocks: int
    seed: int


def count_errors(job: Job) -> list[float]:
    """The margins of the towers whose fall the simulator sees otherwise."""
    rng = np.random.default_rng([job.seed, job.num_blocks, job.sizes == "mixed"])
    simulator, wrong = Simulator(), []
    for k in range(TOWERS_A_JOB):
        yaw, jitter = YAWS[k % len(YAWS)]
        settings = EnvironmentConfig(
            margin=(SMALLEST_MARGIN, 0.4), sizes=job.sizes, yaw=yaw, yaw_jitter=jitter
        )
        stable = bool(rng.random() < 0.5)
        if k % 2:  # margins just above the smallest
            standing, falling = sample_twins(rng, settings, job.num_blocks)
            tower = place_tower(rng, settings, standing if stable else falling)
        else:
            tower = sample_tower(rng, settings, job.num_blocks, stable=stable, depth=True)
        settled = simulator.settle(tower, give_up_beyond=2 * FALL_DISPLACEMENT)
        if (max(settled.displacements) <= FALL_DISPLACEMENT) is not stable:
            wrong.append(margin(tower))
    simulator.close()
    return wrong


def check(run: Callable[..., list[Any]]) -> tuple[Table, dict[str, Any]]:
    kinds = list(product(("equal", "mixed"), range(2, 7)))
    jobs = [Job(*kind, seed) for kind in kinds for seed in range(JOBS_A_KIND)]
    wrong = run("physics", count_errors, jobs)
    table = Table("sizes", "blocks", "towers", "errors", title="PyBullet against the criterion")
    for sizes, num_blocks in kinds:
        found = [
            len(w)
            for job, w in zip(jobs, wrong, strict=True)
            if (job.sizes, job.num_blocks) == (sizes, num_blocks)
        ]
        table.add_row(sizes, str(num_blocks), str(len(found) * TOWERS_A_JOB), str(sum(found)))
    for margins in wrong:
        for value in margins:
            table.caption = f"{table.caption or 'margins of errors:'} {value:+.4f}"
    total = len(jobs) * TOWERS_A_JOB
    return table, {"physics_towers": total, "physics_errors": sum(map(len, wrong))}
