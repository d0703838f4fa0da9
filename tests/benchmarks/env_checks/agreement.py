"""Agreement of PyBullet with the exact criterion, for 2 to 6 blocks of equal and mixed sizes."""

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

TOWERS_PER_JOB = 60
JOBS_PER_KIND = 8
YAWS = ((0.3, 0.1), (0.785, 0.25), (0.8, 0.8))
"""Yaw and jitter: as by default, as in photographs, and independent for every block."""


@dataclass(frozen=True)
class Job:
    sizes: str
    num_blocks: int
    seed: int


def margins_of_errors(job: Job) -> list[float]:
    """List the margins of towers on which simulator and criterion disagree."""
    rng = np.random.default_rng([job.seed, job.num_blocks, job.sizes == "mixed"])
    simulator, margins = Simulator(), []
    for k in range(TOWERS_PER_JOB):
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
            margins.append(margin(tower))
    simulator.close()
    return margins


def check(run: Callable[..., list[Any]]) -> tuple[Table, dict[str, Any]]:
    kinds = list(product(("equal", "mixed"), range(2, 7)))
    jobs = [Job(*kind, seed) for kind in kinds for seed in range(JOBS_PER_KIND)]
    errors = run("physics", margins_of_errors, jobs)
    table = Table("sizes", "blocks", "towers", "errors", title="PyBullet and the exact criterion")
    for sizes, num_blocks in kinds:
        counts = [
            len(margins)
            for job, margins in zip(jobs, errors, strict=True)
            if (job.sizes, job.num_blocks) == (sizes, num_blocks)
        ]
        table.add_row(sizes, str(num_blocks), str(len(counts) * TOWERS_PER_JOB), str(sum(counts)))
    for margins in errors:
        for value in margins:
            table.caption = f"{table.caption or 'margins of errors:'} {value:+.4f}"
    total = len(jobs) * TOWERS_PER_JOB
    return table, {"physics_towers": total, "physics_errors": sum(map(len, errors))}
