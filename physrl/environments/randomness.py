"""Counter-based random streams: scene i is a pure function of (seed, task, split, generator, i).

Scenes 2k and 2k + 1 form a pair. Each has a stream of its own, and both share a third one from
which a task can draw the pair jointly.
"""

import hashlib
from dataclasses import dataclass

import numpy as np

from physrl.types import Split


@dataclass(frozen=True, slots=True)
class Streams:
    """The random streams that one scene is drawn from."""

    own: np.random.Generator
    """Stream of this scene alone."""
    pair: np.random.Generator
    """Stream of the pair, in the same state for both of its scenes."""
    second: bool
    """True for the second scene of a pair."""


def scene_streams(seed: int, task: str, split: Split, generator: str, index: int) -> Streams:
    """Make the streams of one scene; different arguments give independent, disjoint streams."""
    name = f"{seed}/{task}/{split}/{generator}"
    pair, second = divmod(index, 2)
    return Streams(stream(name, index), stream(f"{name}/pair", pair), bool(second))


def stream(name: str, index: int) -> np.random.Generator:
    """Make the random stream number `index` of a name."""
    key = np.frombuffer(hashlib.sha256(name.encode()).digest()[:16], np.uint64)
    counter = np.array([0, 0, 0, index], np.uint64)  # words 0..2 leave 2**192 draws each
    return np.random.Generator(np.random.Philox(key=key, counter=counter))
