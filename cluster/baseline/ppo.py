"""Training of a network without language: RLlib's PPO on images.

Gymnasium environments -> RLlib's env runners -> PPO's learner -> checkpoint
                                                     |
images of prompts -> NetworkPolicy (a `Generator`) -> answers as text -> the same evaluation
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from cluster.baseline.network import (
    ENVIRONMENT,
    observation,
    observation_space,
    ppo_algorithm,
    save_network,
)
from cluster.runtime.stopping import StopRequest
from cluster.training.reporter import Reporter
from physrl.config.baseline import BaselineConfig
from physrl.gym_env import TowerEnv
from physrl.metrics.writer import MetricsWriter
from physrl.storage.checkpoints import Checkpoint, Checkpoints
from physrl.types import Image, Metrics

REPORTED = {
    "reward": ("env_runners", "episode_return_mean"),
    "loss": ("learners", "default_policy", "total_loss"),
    "entropy": ("learners", "default_policy", "entropy"),
    "kl": ("learners", "default_policy", "mean_kl_loss"),
}
"""Path of each reported metric in RLlib's result."""


class TrainingScenes(gymnasium.Wrapper[NDArray[np.float32], Any, Image, Any]):
    """The training scenes of one worker; together, all workers use each scene once."""

    def __init__(self, env: TowerEnv, seed: int, first: int, stride: int) -> None:
        super().__init__(env)
        self.observation_space = observation_space(env.observation_space.shape[0])
        self._seed, self._next, self._stride = seed, first, stride

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin the next scene; RLlib's seed is ignored."""
        image, info = self.env.reset(seed=self._seed, options={"index": self._next})
        self._next += self._stride
        return observation(image), info

    def step(self, action: Any) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        image, reward, terminated, truncated, info = self.env.step(action)
        return observation(image), float(reward), terminated, truncated, info


class Baseline:
    """RLlib's algorithm with its workers; needs a running Ray cluster, and `close` at the end."""

    def __init__(self, config: BaselineConfig, iterations_done: int = 0) -> None:
        """Start the workers.

        Args:
            iterations_done: number of iterations whose scenes are skipped.
        """
        self._config = config
        from ray.tune.registry import register_env

        register_env(ENVIRONMENT, _make_environment(config, iterations_done * config.ppo.episodes))
        self._algorithm: Any = ppo_algorithm(config).build_algo()

    def train(self) -> Metrics:
        """Run one iteration: a batch of episodes and the updates on it."""
        result = self._algorithm.train()
        values = {name: _look_up(result, path) for name, path in REPORTED.items()}
        return {name: float(value) for name, value in values.items() if value is not None}

    def save(self, folder: Path) -> None:
        """Write the network into `policy/` as safetensors, RLlib's own state into `learner/`."""
        save_network(self._algorithm.get_module(), folder)
        self._algorithm.save_to_path(str((folder / "learner").absolute()))

    def restore(self, folder: Path) -> None:
        """Restore the network and RLlib's state from a checkpoint's folder."""
        self._algorithm.restore_from_path(str((folder / "learner").absolute()))

    def close(self) -> None:
        """Stop the workers."""
        self._algorithm.stop()


def train_baseline(config: BaselineConfig, reporter: Reporter, stop: StopRequest) -> Checkpoint:
    """Run all iterations after the newest checkpoint, and return the last checkpoint.

    Needs a running Ray cluster. A stop request ends it after the current iteration.
    """
    checkpoints = Checkpoints(config.folder, config.checkpoint.keep_last)
    newest = checkpoints.latest()
    done = 0 if newest is None else newest.step
    if newest is not None and done >= config.ppo.iterations:
        return newest
    writer = MetricsWriter(config.folder)
    writer.truncate_after(done)
    with closing(Baseline(config, done)) as baseline:
        if newest is not None:
            baseline.restore(newest.path)
        for iteration in range(done + 1, config.ppo.iterations + 1):
            began = time.monotonic()
            metrics = baseline.train() | {"time/step_s": time.monotonic() - began}
            writer.write(iteration, metrics)
            reporter.step(iteration, metrics)
            last = iteration == config.ppo.iterations or stop.requested
            if last or iteration % config.checkpoint.every == 0:
                newest = checkpoints.commit(iteration, {}, baseline.save)
            if last:
                break
    writer.close()
    assert newest is not None  # committed at the last iteration
    return newest


def _make_environment(config: BaselineConfig, first: int) -> Callable[[Any], TrainingScenes]:
    def make(context: Any) -> TrainingScenes:
        # Worker 0 is in the driver and runs no episodes.
        offset = max(context.worker_index - 1, 0)
        env = TowerEnv(config.task, config.environment, config.reward)
        return TrainingScenes(env, config.seed, first + offset, config.workers)

    return make


def _look_up(tree: Mapping[str, Any], path: Sequence[str]) -> Any:
    for name in path:
        if not isinstance(tree, Mapping) or name not in tree:
            return None
        tree = tree[name]
    return tree
