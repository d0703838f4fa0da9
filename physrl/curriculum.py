"""Curricula over scenes: uniform sampling, or guided self-play at the edge of the policy's skill.

Guided self-play divides the configured scenes of a task into *arms* (a number of blocks, a part of
the margins, a largest displacement) and tracks the learnability of each: a group in which half of
the rollouts succeed is most informative, one in which all or none succeed has no advantages. Arms
of higher learnability are sampled more often. The task itself samples each scene, from settings
within the configured ones, so that every scene is physically valid and its label true.
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
from physrl.environments.twins import LARGEST_MARGIN
from physrl.errors import SceneError
from physrl.groups import Group
from physrl.scene_source import SceneSource
from physrl.tasks import TASKS
from physrl.tasks.task import make_scene

MARGINS = 3
"""Number of parts that the configured margins are divided into."""
DISPLACEMENTS = (0.6, 1.0)
"""Largest displacements, as shares of the configured one."""
FEASIBILITY_SCENES = 4
"""Number of scenes that must be found for an arm to be used."""
DECAY = 0.9
"""Factor of an arm's past statistics at each observation, since policies change."""
UNIFORM_SHARE = 0.1
"""Share of scenes that are sampled uniformly from all arms."""
EXPONENT = 2.0
"""Exponent of the learnability in an arm's sampling weight."""

CurriculumState = dict[str, dict[str, list[float]]]
"""State for a checkpoint as JSON: for each task and arm, the decayed number of `groups`, and the
decayed sum of their `learnability`."""


class Curriculum(Protocol):
    """A rule that chooses the settings of a run's coming scenes."""

    def start(self) -> CurriculumState:
        """Return the state before the first step."""
        ...

    def propose(self, state: CurriculumState, indices: Iterable[int]) -> SceneSource:
        """Return the source of these scenes, a deterministic function of the state."""
        ...

    def observe(
        self, state: CurriculumState, source: SceneSource, groups: Sequence[Group]
    ) -> CurriculumState:
        """Return the state after these groups, whose scenes were sampled from `source`."""
        ...


def make_curriculum(config: RunConfig, source: SceneSource) -> Curriculum:
    """Make the configured curriculum over a run's training scenes."""
    return SelfPlay(source) if config.curriculum == "self_play" else Uniform(source)


class Uniform:
    """The control: a curriculum that leaves all scenes to the configured settings."""

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
    """The curriculum that prefers scenes on which about half of a group succeeds."""

    def __init__(self, source: SceneSource) -> None:
        self._source = source

    def start(self) -> CurriculumState:
        counts = {task: len(self._arms(task)) for task in self._source.tasks}
        return {
            task: {"groups": [0.0] * count, "learnability": [0.0] * count}
            for task, count in counts.items()
        }

    def propose(self, state: CurriculumState, indices: Iterable[int]) -> SceneSource:
        """Sample an arm for each pair of scenes, so that labels stay balanced within arms."""
        proposals = {}
        for index in indices:
            task, place = self._source.locate(index)
            shares = arm_shares(state[task]["groups"], state[task]["learnability"])
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
            rows["groups"][arm] = DECAY * rows["groups"][arm] + 1
            rows["learnability"][arm] = DECAY * rows["learnability"][arm] + learnability(group)
        return after

    def _arms(self, task: str) -> tuple[EnvironmentConfig, ...]:
        return find_arms(task, self._source.environment, self._source.seed)


def learnability(group: Group) -> float:
    """Compute 4 s (1 - s) of the success rate s: 1 at one half, 0 if all or none succeed."""
    share = float(np.mean([rollout.success for rollout in group.rollouts]))
    return 4 * share * (1 - share)


def arm_shares(groups: Sequence[float], learnability: Sequence[float]) -> list[float]:
    """Compute the probability of each arm; the prior of an arm is one group of learnability 1."""
    means = (np.array(learnability) + 1) / (np.array(groups) + 1)
    weights = means**EXPONENT
    shares = UNIFORM_SHARE / len(means) + (1 - UNIFORM_SHARE) * weights / weights.sum()
    return [float(share) for share in shares]


@lru_cache(maxsize=64)
def find_arms(
    task: str, environment: EnvironmentConfig, seed: int
) -> tuple[EnvironmentConfig, ...]:
    """Divide a task's scenes into arms, without those for which no scenes are found.

    Raises:
        SceneError: no arm is left.
    """
    low, high = environment.num_blocks
    # The displacements of twins follow from their margins, so that smaller ones are rarely found.
    twins = task == "stability" and environment.twins
    displacements = DISPLACEMENTS[-1:] if twins else DISPLACEMENTS
    arms = [
        arm
        for blocks in range(max(low, TASKS[task].fewest_blocks), high + 1)
        for margins in _margins(task, environment)
        for displacement in displacements
        if _is_feasible(task, arm := _arm(environment, blocks, margins, displacement), seed)
    ]
    if not arms:
        raise SceneError(
            f"environment.margin is {list(environment.margin)}, which admits no arm of {task}: "
            "widen it, or set curriculum=uniform"
        )
    return tuple(arms)


def _margins(task: str, environment: EnvironmentConfig) -> list[tuple[float, float]]:
    low, high = environment.margin
    if task == "stability" and environment.twins:
        high = min(high, LARGEST_MARGIN)
    edges = np.linspace(low, high, MARGINS + 1).round(4).tolist()
    return list(pairwise(edges)) if high > low else []


def _arm(
    environment: EnvironmentConfig, blocks: int, margins: tuple[float, float], displacement: float
) -> EnvironmentConfig:
    changes = {
        "num_blocks": (blocks, blocks),
        "margin": margins,
        "largest_step": displacement * environment.largest_step,
    }
    return EnvironmentConfig(**(environment.model_dump() | changes))


def _is_feasible(task: str, arm: EnvironmentConfig, seed: int) -> bool:
    try:
        for index in range(FEASIBILITY_SCENES):
            make_scene(TASKS[task], arm, seed, "train", index)
    except SceneError:
        return False
    return True
