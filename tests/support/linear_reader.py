"""A policy that reads scenes linearly: the smallest learner that a reward can mislead."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from physrl.algorithms.advantage import advantages
from physrl.config.environment import EnvironmentConfig
from physrl.config.reward import RewardConfig
from physrl.environments.simulator import Simulator
from physrl.rewards.attempt import Move
from physrl.rewards.score import score
from physrl.tasks import TASKS
from physrl.tasks.answers import LARGEST_OFFSET
from physrl.tasks.task import make_scene
from physrl.types import Offset, SceneSpec, Split

Floats = NDArray[np.float64]
SETTINGS = EnvironmentConfig()
NOISES = (0.03, 1.0)
"""Bounds of the answers' noise, in block widths."""
STARTS = ("idle", "blind", "opposite", "high", "low", "scrambled")
"""Poor starts: the block is left alone; the same answer in every scene, the mean ideal; away from
the ideal; 6 block widths too far right and up, left and down; random weights."""
FAR = 6.0


@dataclass(frozen=True)
class Budget:
    """The length of a training run."""

    steps: int = 700
    scenes: int = 8
    """Scenes a step."""
    pool: int = 256
    """Number of training scenes, which are used again and again: sampling them takes longest."""
    answers: int = 8
    """Answers a scene: the size of a group."""
    lr: float = 0.08
    noise: float = 0.3
    """Standard deviation of the first answers, in block widths."""


class LinearReader(torch.nn.Module):
    """A policy whose mean answer is linear in features of the scene, with Gaussian noise.

    The features are standardized: the ideal answer, and six facts that do not determine it. What
    has to be learned is which of them to use, and how much.
    """

    def __init__(self, task: str, start: str, noise: float, seed: int) -> None:
        super().__init__()
        scenes = [scene_of(task, "warm", index) for index in range(48)]
        rows = np.array([features(scene) for scene in scenes])
        self._mean, self._spread = rows.mean(axis=0), rows.std(axis=0) + 1e-6
        axes = len(TASKS[task].axes)
        ideal = self._mean[:axes]
        reading = np.eye(axes, rows.shape[1]) * self._spread[:axes, None]
        rng = np.random.default_rng(seed)
        weights, bias = {
            "idle": (0 * reading, 0 * ideal),
            "blind": (0 * reading, ideal),
            "opposite": (-reading, -ideal),
            "high": (reading, ideal + FAR),
            "low": (reading, ideal - FAR),
            "scrambled": (rng.normal(0, 1.5, reading.shape), rng.normal(0, 2, axes)),
        }[start]
        self._weights = torch.nn.Parameter(torch.tensor(weights))
        self._bias = torch.nn.Parameter(torch.tensor(bias))
        self._log_noise = torch.nn.Parameter(torch.full((axes,), math.log(noise)).double())

    def answers(self, scenes: Sequence[SceneSpec]) -> torch.distributions.Normal:
        """Return the distribution of answers: scenes x axes, in block widths."""
        rows = np.array([features(scene) for scene in scenes])
        known = torch.tensor((rows - self._mean) / self._spread)
        noise = self._log_noise.clamp(*map(math.log, NOISES)).exp()
        return torch.distributions.Normal(known @ self._weights.T + self._bias, noise)


def train(
    reader: LinearReader,
    task: str,
    reward: RewardConfig,
    budget: Budget,
    simulator: Simulator,
    seed: int,
) -> None:
    """Train a reader by REINFORCE with GRPO's advantages; the learning rate falls to 0."""
    torch.manual_seed(seed)
    optimizer = torch.optim.Adam(reader.parameters(), lr=budget.lr)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.01, budget.steps)
    for step in range(budget.steps):
        indices = range(step * budget.scenes, (step + 1) * budget.scenes)
        scenes = [scene_of(task, "train", index % budget.pool) for index in indices]
        policy = reader.answers(scenes)
        answers = policy.sample((budget.answers,))
        rows = answers.transpose(0, 1).numpy()
        rewards = [
            [rewarded(scene, answer, reward, simulator)[0] for answer in group]
            for scene, group in zip(scenes, rows, strict=True)
        ]
        advantage = torch.tensor(advantages(np.array(rewards), "group", "group"))
        logp = policy.log_prob(answers).sum(dim=-1).T
        optimizer.zero_grad()
        (-advantage * logp).mean().backward()
        optimizer.step()
        schedule.step()


def success_rate(
    reader: LinearReader, task: str, reward: RewardConfig, simulator: Simulator, count: int
) -> float:
    """Return the success rate of the mean answers to test scenes."""
    scenes = [scene_of(task, "test", index) for index in range(count)]
    answers = reader.answers(scenes).mean.detach().numpy()
    pairs = zip(scenes, answers, strict=True)
    return float(np.mean([rewarded(*pair, reward, simulator)[1] for pair in pairs]))


def rewarded(
    scene: SceneSpec, answer: Floats, reward: RewardConfig, simulator: Simulator
) -> tuple[float, bool]:
    """Return the reward of an answer, rounded and clipped as answers are, and its success."""
    task = TASKS[scene.task]
    clipped = np.clip(answer, -LARGEST_OFFSET, LARGEST_OFFSET).round(2).tolist()
    action = Offset(**({"x": 0.0, "y": 0.0} | dict(zip(task.axes, clipped, strict=True))))
    outcome = task.act(scene, action, simulator)
    return score(scene, [Move(action, outcome)], reward).total, outcome.success


@lru_cache(maxsize=8192)
def scene_of(task: str, split: Split, index: int) -> SceneSpec:
    """Return a scene of seed 0; readers of all starts see the same ones."""
    return make_scene(TASKS[task], SETTINGS, 0, split, index)


@lru_cache(maxsize=8192)
def features(scene: SceneSpec) -> tuple[float, ...]:
    """Return the ideal answer, and facts that a policy may take for it."""
    ideal = TASKS[scene.task].ideal(scene)
    red, below, lowest = scene.blocks[-1], scene.blocks[-2], scene.blocks[0]
    facts = (red.x, red.y, below.x, lowest.x, float(len(scene.blocks)), scene.margin)
    return (*(getattr(ideal, axis) for axis in TASKS[scene.task].axes), *facts)
