"""Reward landscapes: the reward of every answer to a scene on a grid."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from physrl.config.reward import RewardConfig
from physrl.environments.simulator import Simulator
from physrl.evaluation.statistics import Floats
from physrl.rewards.attempt import Move
from physrl.rewards.score import score
from physrl.tasks import TASKS
from physrl.tasks.answers import UNITS, format_action
from physrl.types import Image, Offset, SceneSpec

MARGIN = 1.2
"""Block widths of the grid beyond the ideal and beyond the red block's own position."""
SPACING = {1: 0.02, 2: 0.1}
"""Distance between answers along an axis in block widths, by the count of numbers in an answer."""


@dataclass(frozen=True, slots=True)
class Landscape:
    """Rewards of answers on a grid; lengths are in block widths."""

    xs: Floats
    ys: Floats
    rewards: Floats
    """Rewards, ys x xs: `rewards[j, i]` is that of (xs[i], ys[j])."""
    ideal: Offset

    @property
    def is_map(self) -> bool:
        """True if answers vary in both numbers."""
        return len(self.xs) > 1 and len(self.ys) > 1


def compute_landscape(scene: SceneSpec, reward: RewardConfig, simulator: Simulator) -> Landscape:
    """Simulate the answers from beyond the ideal to beyond the red block's own position.

    Raises:
        SimulationError: PyBullet returned values that are not finite.
    """
    task = TASKS[scene.task]
    ideal = task.ideal(scene)
    assert isinstance(ideal, Offset)
    xs, ys = (
        _grid(getattr(ideal, axis), SPACING[len(task.axes)]) if axis in task.axes else np.zeros(1)
        for axis in "xy"
    )

    def reward_of(x: float, y: float) -> float:
        action = Offset(x, y)
        return score(scene, [Move(action, task.act(scene, action, simulator))], reward).total

    rewards = np.array([[reward_of(x, y) for x in xs.tolist()] for y in ys.tolist()])
    return Landscape(xs, ys, rewards, ideal)


def plot_landscape(figure: Figure, axes: Axes, landscape: Landscape, *, ideal_color: str) -> None:
    """Plot rewards as a curve of one number or a map of two, with the ideal answer marked."""
    xs, ys, ideal = landscape.xs, landscape.ys, landscape.ideal
    if landscape.is_map:
        mesh = axes.pcolormesh(
            xs, ys, landscape.rewards, cmap="viridis", shading="nearest", rasterized=True
        )
        figure.colorbar(mesh, ax=axes, label="reward")
        axes.plot(ideal.x, ideal.y, "+", color=ideal_color, markersize=14, markeredgewidth=2.5)
        axes.set(xlabel="answered x (block widths)", ylabel="answered y (block widths)")
        axes.set(xlim=(xs[0], xs[-1]), ylim=(ys[0], ys[-1]))
        return
    name, values = ("x", xs) if len(xs) > 1 else ("y", ys)
    axes.plot(values, landscape.rewards.ravel(), linewidth=1)
    axes.axvline(getattr(ideal, name), color=ideal_color, linestyle=":", linewidth=1)
    axes.set(
        xlabel=f"answered {name} (block widths)", ylabel="reward", xlim=(values[0], values[-1])
    )


def draw_landscape(scene: SceneSpec, image: Image, landscape: Landscape) -> Figure:
    """Draw a scene next to its reward landscape."""
    figure = Figure(figsize=(10, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.25))
    left.imshow(image)
    left.set(xticks=(), yticks=())
    answer = format_action(landscape.ideal, TASKS[scene.task].axes)
    left.set_title(f"{scene.scene_id}\nideal answer {answer}", size=10)
    plot_landscape(figure, right, landscape, ideal_color="crimson")
    right.set_title("reward of each answer, the ideal in red", size=10)
    return figure


def _grid(ideal: float, step: float) -> Floats:
    """Space answers evenly from beyond the ideal to beyond 0, or vice versa, through the ideal."""
    low, high = min(ideal, 0.0) - MARGIN, max(ideal, 0.0) + MARGIN
    below, above = int((ideal - low) / step), int((high - ideal) / step)
    grid: Floats = np.round((ideal + step * np.arange(-below, above + 1)) * UNITS) / UNITS
    return grid
