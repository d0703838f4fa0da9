"""Which scenes come next: uniformly drawn, or at the edge of what the policy can do.

Guided self-play divides the configured scenes of a task into *arms* (a number of blocks, a part of
the margins, a largest displacement) and keeps how much could be learned from each: a group of which
half succeeds compares most, one of which all or none does compares nothing. Arms are drawn the
oftener the more there is to learn. Every scene is drawn by its task from settings within the
configured ones, so that it is physically valid and its label true.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from typing import Protocol

import numpy as np

from physrl.config.environment import EnvironmentConfig
from physrl.config.run import RunConfig
from physrl.environments.randomness import stream
from physrl.environments.twins import LARGEST_MARGINS
from physrl.errors import SceneError
from physrl.groups import Group
from physrl.scene_source import SceneSource
from physrl.tasks import TASKS
from physrl.tasks.task import make_scene

MARGINS = 3
"""Parts that the configured margins are divided into."""
STEPS = (0.6, 1.0)
"""Largest displacements, as shares of the configured one."""
TRIED = 4
"""Scenes that an arm must give to be one."""
MEMORY = 0.9
"""What of an arm's past is left after each observation of it: policies change."""
FLOOR = 0.1
"""Share of the scenes that are drawn from all arms alike, so that none is forgotten."""
SHARPNESS = 2.0
"""The power of what is to learn that arms are drawn by."""

CurriculumState = dict[str, dict[str, list[float]]]
"""JSON for a checkpoint: by task, one number an arm: how many `groups` were seen, and the sum of
what was `learnable` in them, from 0 to 1 each. Older ones count less."""


class Curriculum(Protocol):
    """Chooses the settings that a run's scenes are drawn from."""

    def start(self) -> CurriculumState:
        """The state before the first step."""
        ...

    def propose(self, state: CurriculumState, indices: Iterable[int]) -> SceneSource:
        """The source of these scenes; the same for the same state, whoever asks."""
        ...

    def observe(
        self, state: CurriculumState, source: SceneSource, groups: Sequence[Group]
    ) -> CurriculumState:
        """The state after these groups, whose scenes came from `source`."""
        ...


def make_curriculum(config: RunConfig, source: SceneSource) -> Curriculum:
    """The configured curriculum over a run's training scenes."""
    return SelfPlay(source) if config.curriculum == "self_play" else Uniform(source)


class Uniform:
    """All scenes from the configured settings: the control."""

    def __init__(self, source: SceneSource) -> None:
        self._source = source

    def start(self) -> CurriculumState:
        return {}

    def propose(self, state: CurriculumState, indices: Iterable[int]) -> SceneSource:
        return self._source

    def observe(
        self, state: CurriculumState, source: SceneSource, groups: Sequence[Group]
    ) -> CurriculumState:
        return state


class SelfPlay:
    """Scenes on which groups succeed about half of the time."""

    def __init__(self, source: SceneSource) -> None:
        self._source = source

    def start(self) -> CurriculumState:
        counts = {task: len(self._arms(task)) for task in self._source.tasks}
        return {
            task: {"groups": [0.0] * count, "learnable": [0.0] * count}
            for task, count in counts.items()
        }

    def propose(self, state: CurriculumState, indices: Iterable[int]) -> SceneSource:
        """Both scenes of a pair are of one arm, so that labels stay balanced in each."""
        proposals = {}
        for index in indices:
            place, which = divmod(index, len(self._source.tasks))
            task = self._source.tasks[which]
            shares = arm_shares(state[task]["groups"], state[task]["learnable"])
            rng = stream(f"{self._source.seed}/{task}/self_play", place // 2)
            proposals[index] = self._arms(task)[int(rng.choice(len(shares), p=shares))]
        return replace(self._source, proposals=proposals)

    def observe(
        self, state: CurriculumState, source: SceneSource, groups: Sequence[Group]
    ) -> CurriculumState:
        after = {
            task: {name: list(row) for name, row in rows.items()} for task, rows in state.items()
        }
        for group in groups:
            task = group.task
            arm = self._arms(task).index(source.proposals[group.index])
            rows = after[task]
            rows["groups"][arm] = MEMORY * rows["groups"][arm] + 1
            rows["learnable"][arm] = MEMORY * rows["learnable"][arm] + learnable(group)
        return after

    def _arms(self, task: str) -> tuple[EnvironmentConfig, ...]:
        return find_arms(task, self._source.environment, self._source.seed)


def learnable(group: Group) -> float:
    """4 s (1 - s) of the share s that succeeds: 1 at one half, 0 where all do the same."""
    share = float(np.mean([rollout.success for rollout in group.rollouts]))
    return 4 * share * (1 - share)


def arm_shares(groups: Sequence[float], learnable: Sequence[float]) -> list[float]:
    """How often each arm is drawn; one that was never seen is taken to have all to learn."""
    hopes = (np.array(learnable) + 1) / (np.array(groups) + 1)
    sharpened = hopes**SHARPNESS
    shares = FLOOR / len(hopes) + (1 - FLOOR) * sharpened / sharpened.sum()
    return [float(share) for share in shares]


@lru_cache(maxsize=64)
def find_arms(
    task: str, environment: EnvironmentConfig, seed: int
) -> tuple[EnvironmentConfig, ...]:
    """The divisions of a task's scenes, those left out that give none.

    Raises:
        SceneError: not one gives any.
    """
    low, high = environment.num_blocks
    # Twins' displacements follow from their margins: smaller ones are hard to find.
    steps = STEPS[-1:] if task == "stability" and environment.twins else STEPS
    arms = [
        arm
        for blocks in range(low, high + 1)
        for margins in _margins(task, environment, blocks)
        for step in steps
        if _gives_scenes(task, arm := _arm(environment, blocks, margins, step), seed)
    ]
    if not arms:
        raise SceneError(
            f"no part of environment.margin {list(environment.margin)} gives scenes of {task}: "
            "widen it, or set curriculum=uniform"
        )
    return tuple(arms)


def _margins(task: str, environment: EnvironmentConfig, blocks: int) -> list[tuple[float, float]]:
    low, high = environment.margin
    if task == "stability" and environment.twins:
        high = min(high, LARGEST_MARGINS[blocks])
    edges = np.linspace(low, high, MARGINS + 1).round(4).tolist()
    return list(pairwise(edges)) if high > low else []


def _arm(
    environment: EnvironmentConfig, blocks: int, margins: tuple[float, float], step: float
) -> EnvironmentConfig:
    changes = {
        "num_blocks": (blocks, blocks),
        "margin": margins,
        "largest_step": step * environment.largest_step,
    }
    return EnvironmentConfig(**(environment.model_dump() | changes))


def _gives_scenes(task: str, arm: EnvironmentConfig, seed: int) -> bool:
    try:
        for index in range(TRIED):
            make_scene(TASKS[task], arm, seed, "train", index)
    except SceneError:
        return False
    return True
