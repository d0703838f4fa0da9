"""What each answer to a scene would earn: the landscape that a policy climbs."""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from physrl.config.reward import RewardConfig
from physrl.environments.simulator import Simulator
from physrl.rewards.attempt import Move
from physrl.rewards.score import score
from physrl.tasks import TASKS
from physrl.tasks.answers import UNITS, words
from physrl.types import Image, Offset, SceneSpec

AROUND = 1.2
"""Block widths that are shown beyond the ideal and beyond staying where it is."""
POINTS = {1: 0.02, 2: 0.1}
"""Between two answers along an axis, by how many numbers an answer has."""
FAMILY = "viridis"

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Landscape:
    """Rewards of answers on a grid, in block widths."""

    xs: Floats
    ys: Floats
    rewards: Floats
    """Heights x widths: one an answer, `rewards[j, i]` of (xs[i], ys[j])."""
    ideal: Offset


def survey(scene: SceneSpec, reward: RewardConfig, simulator: Simulator) -> Landscape:
    """Carry out answers from beyond the ideal to beyond where the red block is.

    Raises:
        SimulationError: PyBullet gave values that are not finite.
    """
    task = TASKS[scene.task]
    ideal = task.ideal(scene)
    assert isinstance(ideal, Offset)
    xs, ys = (
        _grid(getattr(ideal, axis), POINTS[len(task.axes)]) if axis in task.axes else np.zeros(1)
        for axis in "xy"
    )

    def earned(x: float, y: float) -> float:
        action = Offset(x, y)
        return score(scene, [Move(action, task.act(scene, action, simulator))], reward).total

    rewards = np.array([[earned(x, y) for x in xs.tolist()] for y in ys.tolist()])
    return Landscape(xs, ys, rewards, ideal)


def draw_landscape(scene: SceneSpec, picture: Image, landscape: Landscape) -> Figure:
    """The scene beside its landscape: a curve for one number, a map for two; the ideal marked."""
    task = TASKS[scene.task]
    figure = Figure(figsize=(10, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.25))
    left.imshow(picture)
    left.set(xticks=(), yticks=())
    left.set_title(f"{scene.scene_id}\nideal answer {words(landscape.ideal, task.axes)}", size=10)
    if len(task.axes) == 1:
        (name,) = task.axes
        along = landscape.xs if name == "x" else landscape.ys
        right.plot(along, landscape.rewards.ravel())
        right.axvline(getattr(landscape.ideal, name), color="crimson", linestyle="--")
        right.set(xlabel=f"answered {name} (block widths)", ylabel="reward")
        right.grid(alpha=0.2)
    else:
        shown = right.pcolormesh(
            landscape.xs, landscape.ys, landscape.rewards, cmap=FAMILY, shading="nearest"
        )
        right.plot(landscape.ideal.x, landscape.ideal.y, "x", color="crimson", markersize=9)
        right.set(xlabel="answered x (block widths)", ylabel="answered y (block widths)")
        figure.colorbar(shown, ax=right, label="reward")
    right.set_title("reward of each answer, the ideal in red", size=10)
    return figure


def _grid(ideal: float, step: float) -> Floats:
    """Answers from beyond one of the ideal and 0 to beyond the other; the ideal is among them."""
    low, high = min(ideal, 0.0) - AROUND, max(ideal, 0.0) + AROUND
    below, above = int((ideal - low) / step), int((high - ideal) / step)
    grid: Floats = np.round((ideal + step * np.arange(-below, above + 1)) * UNITS) / UNITS
    return grid
