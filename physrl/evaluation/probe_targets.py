"""Targets of linear probes: physical quantities of a scene."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physrl.config.study import Target
from physrl.tasks import TASKS
from physrl.tasks.placing import height
from physrl.types import Offset, SceneSpec

Floats = NDArray[np.floating[Any]]


def target_values(scenes: Sequence[SceneSpec], targets: Sequence[Target]) -> dict[Target, Floats]:
    """Compute the values of targets, one a scene; constant targets are left out."""
    values = {target: np.array([_value(scene, target) for scene in scenes]) for target in targets}
    return {target: column for target, column in values.items() if np.ptp(column) > 0}


def centered(target: Target, values: Floats) -> Floats:
    """Map the labels of `stability` from 0 and 1 to -1 and 1; other targets are unchanged."""
    return 2 * values - 1 if target == "stability" else values


def probe_score(target: Target, truth: Floats, prediction: Floats) -> float:
    """Compute the balanced accuracy of `stability` by sign, and R² of other targets."""
    if target == "stability":
        correct = (prediction > 0) == (truth > 0)
        return float(np.mean([correct[truth > 0].mean(), correct[truth <= 0].mean()]))
    residual, total = ((truth - prediction) ** 2).sum(), ((truth - truth.mean()) ** 2).sum()
    return float(1 - residual / total) if total > 0 else 0.0


def _value(scene: SceneSpec, target: Target) -> float:
    match target:
        case "margin":
            return scene.margin
        case "stability":
            return float(scene.margin >= 0)
        case "height":
            return height(scene.tower)
        case "blocks":
            return float(len(scene.blocks))
    ideal = TASKS[scene.task].ideal(scene)
    if not isinstance(ideal, Offset):
        return 0.0
    return ideal.x if target == "offset_x" else ideal.y
