"""Scene i of a set is a pure function of (seed, task, split, generator, i): counter-based streams.

Scenes 2k and 2k + 1 are a pair: beside a stream of its own each has one that both share, so that a
task can draw them against each other.
"""

import hashlib
from dataclasses import dataclass

import numpy as np

from physrl.types import Split


@dataclass(frozen=True, slots=True)
class Streams:
    """What one scene is drawn from."""

    own: np.random.Generator
    """This scene's alone."""
    pair: np.random.Generator
    """In the same state for both scenes of a pair."""
    second: bool
    """Whether this is the second scene of its pair."""


def scene_streams(seed: int, task: str, split: Split, generator: str, index: int) -> Streams:
    """The streams of one scene; different arguments give independent, disjoint ones."""
    name = f"{seed}/{task}/{split}/{generator}"
    pair, second = divmod(index, 2)
    return Streams(stream(name, index), stream(f"{name}/pair", pair), bool(second))


def stream(name: str, index: int) -> np.random.Generator:
    """Stream `index` of those of a name."""
    key = np.frombuffer(hashlib.sha256(name.encode()).digest()[:16], np.uint64)
    counter = np.array([0, 0, 0, index], np.uint64)  # words 0..2 leave 2**192 draws each
    return np.random.Generator(np.random.Philox(key=key, counter=counter))
