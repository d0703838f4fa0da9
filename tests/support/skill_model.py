"""A policy that succeeds by chance, more often on scenes of which it has learned more."""

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from physrl.algorithms.advantage import advantages

Floats = NDArray[np.float64]
Optimizer = Literal["sgd", "adam"]
KINDS = 24
"""Number of kinds of scenes between which skill carries over by likeness alone."""
ROLLOUTS = 8
STEEPNESS = 3.0
"""Difference of the log-odds at the start between scenes a standard deviation of hardness apart."""
LEARNING_RATES = {"sgd": 4.0, "adam": 0.05}


class SkillModel:
    """A policy whose log-odds of success are a weighted mean over the kinds of scene it resembles.

    At the start, tall towers, long ways and small tolerances are hard. Success is all that it is
    rewarded for.

    Args:
        sample: facts of uniformly drawn scenes (`physrl.difficulty`), for units and kinds.
        skill: log-odds of success on an average scene at the start.
    """

    def __init__(self, sample: Floats, skill: float, optimizer: Optimizer, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._mean, self._spread = sample.mean(axis=0), sample.std(axis=0) + 1e-6
        self._kinds = self._rng.permutation((sample - self._mean) / self._spread)[:KINDS]
        blocks, _, tolerance, _, sideways, upwards, _ = self._kinds.T
        hardness = (blocks + sideways + upwards - tolerance) / 2
        self._odds = torch.nn.Parameter(torch.tensor(skill - STEEPNESS * hardness))
        kind = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[optimizer]
        self._optimizer = kind([self._odds], lr=LEARNING_RATES[optimizer])

    def success(self, facts: Floats) -> Floats:
        """Return the success rates on scenes, given in an array whose last axis is the facts."""
        odds = self._likeness(facts) @ self._odds.detach().numpy()
        rates: Floats = 1 / (1 + np.exp(-odds))
        return rates

    def learn(self, facts: Floats) -> list[int]:
        """Update on a group for each scene, and return their numbers of successes."""
        rates = self.success(facts)[:, None]
        successes = (self._rng.random((len(facts), ROLLOUTS)) < rates).astype(float)
        advantage = advantages(successes, "group", "group")
        slopes = (advantage * (successes - rates)).mean(axis=1)
        self._odds.grad = -torch.tensor(slopes @ self._likeness(facts)) / len(facts)
        self._optimizer.step()
        return [int(count) for count in successes.sum(axis=1)]

    def _likeness(self, facts: Floats) -> Floats:
        """Return the shares in which scenes resemble each kind."""
        away = (facts - self._mean)[..., None, :] / self._spread - self._kinds
        weights = np.exp(-(away**2).sum(axis=-1) / 4)
        shares: Floats = weights / (weights.sum(axis=-1, keepdims=True) + 1e-12)
        return shares
