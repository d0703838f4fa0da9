"""Prices of guesses: what a scene loses in score for each guess that is right in it.

They were found once by `tests/benchmarks/guess_prices.py`, for each kind of scene. The score of a
scene is the width of the interval of right places, less the prices of the guesses that lie in it.
Among scenes of high scores no guess is right often, and the intervals are as wide as that permits.
"""

import json
import math
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np

from physrl.environments.geometry import Floats
from physrl.tasks.landmarks import Guess, Landmarks

WIDEST = 0.7
"""Width beyond which an interval of right places is not preferred, in block widths."""


@dataclass(frozen=True, slots=True)
class Prices:
    """What a scene loses in score for each guess that is right in it."""

    prices: dict[Guess, float]
    """In block widths."""
    threshold: float
    """The score that a few of a hundred candidates reach with default settings."""

    def scores(self, low: Floats, high: Floats, landmarks: Landmarks) -> Floats:
        """Return the score of each scene; minus infinity where no place is right.

        Args:
            low, high: ends of the intervals of right places, one a scene.
            landmarks: places from which guesses are made, one a scene each.
        """
        scores = np.minimum(high - low, WIDEST)
        for guess, price in self.prices.items():
            places = guess.places(landmarks)
            scores -= price * ((low < places) & (places < high))
        return np.where(low < high, scores, -np.inf)


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
