"""Prices of guesses: what a scene loses in score for each guess that is right in it.

They were found once by `tests/benchmarks/guess_prices.py`, for each kind of scene. Among scenes
that are kept no guess is right often. Stacks are kept for their scores: the width of the interval
of right places, less the prices of the guesses that lie in it. So the intervals are as wide as that
permits. On planks the intervals are equally wide, or nearly so. A plank is kept by chance, the less
probably the more these prices are: so planks stay as various as that permits.
"""

import json
import math
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from physrl.environments.geometry import Floats
from physrl.tasks.landmarks import Guess, Landmarks

WIDEST = 0.7
"""Width beyond which an interval of right places is not preferred, in block widths."""


@dataclass(frozen=True, slots=True)
class Prices:
    """What a scene loses in score for each guess that is right in it."""

    prices: dict[Guess, float]
    """In block widths; on planks, of the logarithm of the probability to be kept."""
    threshold: float
    """Score from which a stack is kept; on planks, minus the charges up to which all are kept."""

    def scores(self, low: Floats, high: Floats, landmarks: Landmarks) -> Floats:
        """Return the score of each scene; minus infinity where no place is right.

        Args:
            low, high: ends of the intervals of right places, one a scene.
            landmarks: places from which guesses are made, one a scene each.
        """
        scores: Floats = np.minimum(high - low, WIDEST) - self.charges(low, high, landmarks)
        return np.where(low < high, scores, -np.inf)

    def keep(
        self, rng: np.random.Generator, low: Floats, high: Floats, landmarks: Landmarks
    ) -> NDArray[np.bool_]:
        """Return which planks are kept: each with probability exp(-threshold - charges)."""
        chances = rng.exponential(size=len(low))
        kept: NDArray[np.bool_] = chances - self.charges(low, high, landmarks) >= self.threshold
        return kept

    def charges(self, low: Floats, high: Floats, landmarks: Landmarks) -> Floats:
        """Return the sum of the prices of the guesses that are right in each scene."""
        charges = np.zeros(len(low))
        for guess, price in self.prices.items():
            places = guess.places(landmarks)
            charges += price * ((low < places) & (places < high))
        return charges


FREE = Prices({}, -math.inf)
"""Prices with which every scene is kept, for those in which some guess is always right."""


@cache
def load_prices() -> dict[str, Prices]:
    """Read the prices of all kinds of scenes, such as `stack 5 3` or `bridge 2`."""
    text = (files("physrl.tasks") / "guess_prices.json").read_text(encoding="utf-8")
    return {
        kind: Prices({Guess(*guess): price for *guess, price in row["prices"]}, row["threshold"])
        for kind, row in json.loads(text).items()
    }
