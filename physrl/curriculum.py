"""Curricula over scenes: uniform sampling, or adaptive sampling at the edge of the policy's skill.

A group in which half of the rollouts succeed is most informative; one in which all or none succeed
has little to compare. The adaptive curriculum takes each pair of scenes from several candidates of
the configured distribution, and prefers those on which it predicts that half of a group succeeds.
So every scene is one that uniform sampling might have drawn: valid, its label true, and pairs stay
pairs. Where no candidate is predicted to differ, it draws uniformly.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from physrl.config.environment import EnvironmentConfig
from physrl.config.run import RunConfig
from physrl.difficulty import (
    SCALES,
    Sums,
    add_group,
    predict_success,
    scene_facts,
    start_sums,
)
from physrl.environments.randomness import stream
from physrl.groups import Group
from physrl.question_source import Source
from physrl.scene_source import SceneSource
from physrl.tasks import TASKS
from physrl.tasks.task import make_scene
from physrl.types import Metrics

CANDIDATES = 8
"""Number of pairs from which one is taken."""
UNIFORM_SHARE = 0.02
"""Share of pairs that are drawn uniformly from their candidates."""
SHARPNESS = 60.0
"""Exponent of the informativeness 4 p (1 - p) in a candidate's weight; p is its predicted success
rate. A candidate of p = 0.4 has a twelfth of the weight of one of p = 0.5."""

Floats = NDArray[np.float64]
CurriculumState = dict[str, Sums]
"""State for a checkpoint as JSON: what is known of the policy's success on each task."""


class Curriculum(Protocol):
    """A rule that chooses a run's coming scenes."""

    def start(self) -> CurriculumState:
        """Return the state before the first step."""
        ...

    def propose(self, state: CurriculumState, indices: Iterable[int]) -> Source:
        """Return the source of these scenes, a deterministic function of the state."""
        ...

    def observe(
        self, state: CurriculumState, source: Source, groups: Sequence[Group]
    ) -> CurriculumState:
        """Return the state after these groups, whose scenes were sampled from `source`."""
        ...

    def measure(self, state: CurriculumState, indices: Iterable[int]) -> Metrics:
        """Return how the proposed scenes differ from uniformly drawn ones."""
        ...


def make_curriculum(config: RunConfig, source: Source) -> Curriculum:
    """Make the configured curriculum over a run's training scenes or questions."""
    if config.curriculum == "uniform":
        return Uniform(source)
    assert isinstance(source, SceneSource)  # checked by the configuration
    return Adaptive(source)


class Uniform:
    """The control: a curriculum that takes the scenes as they come."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def start(self) -> CurriculumState:
        return {}

    def propose(self, state: CurriculumState, indices: Iterable[int]) -> Source:
        return self._source

    def observe(
        self, state: CurriculumState, source: Source, groups: Sequence[Group]
    ) -> CurriculumState:
        return state

    def measure(self, state: CurriculumState, indices: Iterable[int]) -> Metrics:
        return {}


class Adaptive:
    """The curriculum that prefers scenes on which about half of a group succeeds."""

    def __init__(self, source: SceneSource) -> None:
        self._source = source

    def start(self) -> CurriculumState:
        return {task: start_sums() for task in self._source.tasks}

    def propose(self, state: CurriculumState, indices: Iterable[int]) -> SceneSource:
        places = {}
        for index in indices:
            task, place = self._source.locate(index)
            pair, second = divmod(place, 2)
            shares = candidate_shares(self._predict(state, task, pair))
            rng = stream(f"{self._source.seed}/{task}/adaptive", pair)
            chosen = int(rng.choice(CANDIDATES, p=shares))
            places[index] = 2 * (pair * CANDIDATES + chosen) + second
        return replace(self._source, places=places)

    def observe(
        self, state: CurriculumState, source: Source, groups: Sequence[Group]
    ) -> CurriculumState:
        assert isinstance(source, SceneSource)
        after = dict(state)
        for group in groups:
            task, place = source.locate(group.index)
            successes = sum(rollout.success for rollout in group.rollouts)
            facts = self._facts(task, place)
            after[task] = add_group(after[task], facts, successes, len(group.rollouts))
        return after

    def measure(self, state: CurriculumState, indices: Iterable[int]) -> Metrics:
        """Compare the candidates, weighed by the shares in which they are taken, with uniform ones.

        `shift` is the KL divergence of the shares from uniform ones, in nats, an upper bound of
        that of the scenes; the others are differences of means.
        """
        rows = []
        for task, pair in {(task, place // 2) for task, place in map(self._source.locate, indices)}:
            predicted = self._predict(state, task, pair)
            facts = self._candidates(task, pair).mean(axis=1)
            shares = candidate_shares(predicted)
            drawn, uniform = shares @ predicted.mean(axis=1), predicted.mean()
            divergence = float(shares @ np.log(CANDIDATES * shares))
            rows.append([divergence, drawn, uniform, *(shares @ facts - facts.mean(axis=0))])
        names = ["shift", "predicted_success", "uniform_success"]
        names += [f"{fact}_shift" for fact in SCALES]
        means = np.mean(rows, axis=0).tolist()
        return {f"curriculum/{name}": mean for name, mean in zip(names, means, strict=True)}

    def _predict(self, state: CurriculumState, task: str, pair: int) -> Floats:
        """Predict the success rates of a pair's candidates: candidates x 2."""
        return predict_success(state[task], self._candidates(task, pair))

    def _candidates(self, task: str, pair: int) -> Floats:
        """Return the facts about a pair's candidates: candidates x 2 x facts."""
        first = 2 * pair * CANDIDATES
        places = range(first, first + 2 * CANDIDATES)
        rows = np.array([self._facts(task, place) for place in places])
        return rows.reshape(CANDIDATES, 2, len(SCALES))

    def _facts(self, task: str, place: int) -> Floats:
        return training_facts(task, self._source.environment, self._source.seed, place)


def candidate_shares(predicted: Floats) -> Floats:
    """Compute the shares in which candidates are taken.

    Args:
        predicted: predicted success rates, candidates x scenes of a pair.
    """
    weights = (4 * predicted * (1 - predicted)).mean(axis=1) ** SHARPNESS + 1e-300
    shares: Floats = UNIFORM_SHARE / len(predicted) + (1 - UNIFORM_SHARE) * weights / weights.sum()
    return shares


@lru_cache(maxsize=1 << 16)
def training_facts(task: str, environment: EnvironmentConfig, seed: int, place: int) -> Floats:
    """Return the facts about a training scene, each of which is needed several times."""
    return scene_facts(make_scene(TASKS[task], environment, seed, "train", place))
