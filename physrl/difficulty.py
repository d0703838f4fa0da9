"""The success of a policy on a scene, predicted from facts about the scene.

A ridge regression of the groups' log-odds of success on the facts. It is kept as sums over the
groups, in which older groups count less and less, because the policy changes.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from physrl.environments.geometry import margin
from physrl.tasks import TASKS
from physrl.tasks.task import Task
from physrl.types import Offset, SceneSpec

Floats = NDArray[np.float64]
Sums = dict[str, list[float]]
"""State as JSON: the decayed sums of `facts x facts`, in rows, and of `facts x log-odds`."""
DECAY = 0.95
"""Factor of the sums at each group: half of the weight lies on the last 14 groups."""
RIDGE = 1.0
"""Weight of the prior, which predicts one half for every scene."""
SCALES: Mapping[str, float] = {
    "blocks": 1.0,
    "margin": 0.1,
    "tolerance": 0.1,
    "right": 2.0,
    "sideways": 1.0,
    "upwards": 1.0,
    "lean": 0.5,
}
"""Facts about a scene, and a typical difference of each: the number of blocks; the margin of the
tower, and after the ideal answer; the ideal answer, its size sideways and upwards; how far the
blocks are from being aligned. Lengths are in block widths."""


def start_sums() -> Sums:
    """Return the state without any groups."""
    size = len(SCALES) + 1
    return {"facts": [0.0] * size**2, "odds": [0.0] * size}


def add_group(sums: Sums, facts: Floats, successes: int, rollouts: int) -> Sums:
    """Return the state after a group with that many successes."""
    row = _row(facts)
    odds = np.log((successes + 0.5) / (rollouts - successes + 0.5))
    return {
        "facts": (DECAY * np.array(sums["facts"]) + np.outer(row, row).ravel()).tolist(),
        "odds": (DECAY * np.array(sums["odds"]) + odds * row).tolist(),
    }


def predict_success(sums: Sums, facts: Floats) -> Floats:
    """Predict the success rates of scenes, one half for all before the first group.

    Args:
        facts: scenes x facts.
    """
    odds = np.array(sums["odds"])
    gram = np.array(sums["facts"]).reshape(len(odds), len(odds))
    weights = np.linalg.solve(gram + RIDGE * np.eye(len(odds)), odds)
    predicted: Floats = 1 / (1 + np.exp(-_row(facts) @ weights))
    return predicted


def scene_facts(scene: SceneSpec) -> Floats:
    """Return the facts about a scene, in the order of `SCALES`."""
    task: Task = TASKS[scene.task]
    ideal = task.ideal(scene)
    released = task.release(scene, ideal)
    blocks = scene.tower if released is None else released.upright
    x, y = (ideal.x, ideal.y) if isinstance(ideal, Offset) else (0.0, 0.0)
    centers = [block.x for block in scene.tower]
    return np.array(
        [
            len(scene.blocks),
            abs(scene.margin),
            abs(margin(blocks)),
            x,
            abs(x),
            abs(y),
            max(centers) - min(centers),
        ]
    )


def _row(facts: Floats) -> Floats:
    """Return scaled facts and a constant."""
    scaled = facts / np.array(list(SCALES.values()))
    return np.concatenate([scaled, np.ones((*facts.shape[:-1], 1))], axis=-1)
