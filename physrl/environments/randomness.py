"""Scene i of a run is a pure function of (seed, task, split, i): counter-based streams."""

import hashlib

import numpy as np


def scene_rng(seed: int, task: str, split: str, index: int) -> np.random.Generator:
    """The generator of one scene; different arguments give independent, disjoint streams."""
    name = f"{seed}/{task}/{split}".encode()
    key = np.frombuffer(hashlib.sha256(name).digest()[:16], np.uint64)
    counter = np.array([0, 0, 0, index], np.uint64)  # words 0..2 leave 2**192 draws a scene
    return np.random.Generator(np.random.Philox(key=key, counter=counter))
