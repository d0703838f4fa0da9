"""Credit: what each completion of a step counts in its update.

A policy gradient counts it by its advantage, rejection sampling by its success. Two controls break
the link between a completion and what it caused: a policy gradient on them learns from as many
rewards, but not from interaction.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from physrl.algorithms.advantage import Rewards
from physrl.algorithms.batch import rollout_advantages
from physrl.config.algorithm import PolicyGradientConfig
from physrl.config.run import RunConfig
from physrl.environments.randomness import stream
from physrl.groups import Group
from physrl.types import Reward

Groups = Sequence[Group]


def credit(groups: Groups, config: RunConfig, step: int) -> Rewards:
    """Compute what each rollout of a step counts: groups x group_size.

    This is the algorithm's advantage, of the rewards of `reward_source`; under rejection sampling
    it is 1 for a success and 0 for a failure.
    """
    algorithm = config.algorithm
    if not isinstance(algorithm, PolicyGradientConfig):
        return np.array([[float(each.success) for each in group.rollouts] for group in groups])
    rng = stream(f"{config.seed}/reward/{algorithm.reward_source}", step)
    rewarded = SOURCES[algorithm.reward_source](groups, rng)
    return rollout_advantages(rewarded, algorithm, config.model.max_completion_tokens)


def own(groups: Groups, rng: np.random.Generator) -> list[Group]:
    """Leave every group its own rewards."""
    return list(groups)


def yoked(groups: Groups, rng: np.random.Generator) -> list[Group]:
    """Give every group what another scene's group of the same task earned.

    The groups of a task are put in a random circle, and each is given the rewards of the one before
    it: all rewards of the step are given once, group by group, so that their distribution in and
    between groups stays the same. A group that is alone is given equal rewards, which teach
    nothing.
    """
    given = list(groups)
    for task in {group.task for group in groups}:
        places = [place for place, group in enumerate(groups) if group.task == task]
        if len(places) == 1:
            given[places[0]] = _with_equal_rewards(groups[places[0]])
            continue
        circle = rng.permutation(places)
        for place, before in zip(circle, np.roll(circle, 1), strict=True):
            given[place] = replace(groups[place], rollouts=groups[before].rollouts)
    return given


def random(groups: Groups, rng: np.random.Generator) -> list[Group]:
    """Toss a coin for the reward of every rollout (Shao et al. 2025, arXiv 2506.10947)."""
    return [
        replace(
            group,
            rollouts=tuple(
                replace(rollout, reward=Reward(coin, {"coin": coin}))
                for rollout, coin in zip(
                    group.rollouts, rng.integers(0, 2, len(group.rollouts)).tolist(), strict=True
                )
            ),
        )
        for group in groups
    ]


def _with_equal_rewards(group: Group) -> Group:
    return replace(group, rollouts=group.rollouts[:1] * len(group.rollouts))


SOURCES: dict[str, Callable[[Groups, np.random.Generator], list[Group]]] = {
    "own": own,
    "yoked": yoked,
    "random": random,
}
"""Functions that give a step's groups their rewards, by `reward_source`."""
