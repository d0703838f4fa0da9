"""A policy without language: RLlib's PPO trains a small convolutional network on pictures.

Gymnasium environments -> RLlib's env runners -> PPO's learner -> checkpoint
                                                     |
pictures of prompts -> NetworkPolicy (a `Generator`) -> answers in words -> the same evaluation

Its answers are written as a language model would write them, so that they are parsed, carried out
and counted by the same code.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from cluster.cell_worker import answer_photos, answer_scenes
from physrl.config.baseline import BaselineConfig
from physrl.data.photos import Photo
from physrl.environments.renderer import make_renderer
from physrl.environments.simulator import Simulator
from physrl.evaluation.asking import cell_source
from physrl.evaluation.plan import Asked, Condition, Subject, make_cell
from physrl.evaluation.results import Decoding, PolicyResult, TaskResult
from physrl.gym_env import FALLS, TowerEnv, action_space
from physrl.protocols import Sampling, prompt_seed
from physrl.rollout import prepare
from physrl.tasks import TASKS
from physrl.tasks.answers import LARGEST_OFFSET, answer_text, words
from physrl.types import Action, Completion, Generation, Image, Metrics, Offset, Prompt, Verdict

ENVIRONMENT = "physrl-training-scenes"
"""What RLlib knows the environment by."""
REPORTED = {
    "reward": ("env_runners", "episode_return_mean"),
    "loss": ("learners", "default_policy", "total_loss"),
    "entropy": ("learners", "default_policy", "entropy"),
    "kl": ("learners", "default_policy", "mean_kl_loss"),
}
"""What an iteration is known by here, and where RLlib keeps it."""


class TrainingScenes(gymnasium.Wrapper[NDArray[np.float32], Any, Image, Any]):
    """The training scenes of one worker, in order: every scene is met once, whoever plays it."""

    def __init__(self, env: TowerEnv, seed: int, first: int, stride: int) -> None:
        super().__init__(env)
        self.observation_space = observation_space(env.observation_space.shape[0])
        self._seed, self._next, self._stride = seed, first, stride

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """The next scene; RLlib's seeds are not looked at."""
        picture, info = self.env.reset(seed=self._seed, options={"index": self._next})
        self._next += self._stride
        return observation(picture), info

    def step(self, action: Any) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        picture, reward, terminated, truncated, info = self.env.step(action)
        return observation(picture), float(reward), terminated, truncated, info


def observation(picture: Image) -> NDArray[np.float32]:
    """Height x width x 3, from 0 to 1, as RLlib's encoder wants it."""
    scaled: NDArray[np.float32] = picture.astype(np.float32) / np.float32(255)
    return scaled


def observation_space(size: int) -> gymnasium.spaces.Box:
    """Pictures of that many pixels a side."""
    return gymnasium.spaces.Box(0, 1, (size, size, 3), np.float32)


class Baseline:
    """RLlib's algorithm around one configuration; needs a running Ray cluster."""

    def __init__(self, config: BaselineConfig, iterations_done: int = 0) -> None:
        """Start the workers.

        Args:
            iterations_done: the scenes of so many batches are not met again.
        """
        self._config = config
        from ray.tune.registry import register_env

        register_env(ENVIRONMENT, _make_environment(config, iterations_done * config.ppo.episodes))
        self._algorithm: Any = _algorithm_config(config).build_algo()

    def train(self) -> Metrics:
        """One iteration: a batch of episodes and the updates on it."""
        result = self._algorithm.train()
        found = {name: _at(result, path) for name, path in REPORTED.items()}
        return {name: float(value) for name, value in found.items() if value is not None}

    def save(self, folder: Path) -> None:
        """Write the network into `policy/` as safetensors, RLlib's own state into `learner/`."""
        from safetensors.torch import save_file

        weights = self._algorithm.get_module().state_dict()
        (folder / "policy").mkdir(parents=True)
        save_file(
            {name: value.contiguous() for name, value in weights.items()},
            folder / "policy" / "network.safetensors",
        )
        self._algorithm.save_to_path(str((folder / "learner").absolute()))

    def restore(self, folder: Path) -> None:
        """Continue from what `save` wrote."""
        self._algorithm.restore_from_path(str((folder / "learner").absolute()))

    def stop(self) -> None:
        """End the workers."""
        self._algorithm.stop()


class NetworkPolicy:
    """Answers prompts by their last picture: a `Generator` whose completions are bare answers."""

    def __init__(self, config: BaselineConfig, checkpoint: Path) -> None:
        """Load a network that `Baseline.save` wrote."""
        from safetensors.torch import load_file

        self._axes = TASKS[config.task].axes
        self._size = config.environment.image_size
        spaces = (observation_space(self._size), action_space(len(self._axes)))
        spec = _algorithm_config(config).get_rl_module_spec(
            spaces={"__env__": spaces, "default_policy": spaces}, inference_only=True
        )
        self._module: Any = spec.build()
        weights = load_file(checkpoint / "policy" / "network.safetensors")
        self._module.load_state_dict(weights, strict=False)

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Generation]:
        """One group of answers a prompt; without tokens, and so without log-probabilities."""
        import torch

        pictures = np.stack([observation(self._fitted(prompt)) for prompt in prompts])
        with torch.no_grad():
            out = self._module.forward_inference({"obs": torch.from_numpy(pictures)})
        inputs = out["action_dist_inputs"].double().numpy()
        return [
            Generation((), tuple(self._completions(prompt, row, sampling)))
            for prompt, row in zip(prompts, inputs, strict=True)
        ]

    def _completions(
        self, prompt: Prompt, inputs: NDArray[np.float64], sampling: Sampling
    ) -> Iterator[Completion]:
        first = prompt_seed(prompt.prompt_id, sampling)
        for number in range(sampling.group_size):
            noise = np.random.default_rng(first + number)
            action = self._action(inputs, sampling.temperature, noise)
            yield Completion(answer_text(words(action, self._axes)), (), (), False, 0)

    def _action(
        self, inputs: NDArray[np.float64], temperature: float, noise: np.random.Generator
    ) -> Action:
        """The likeliest action at temperature 0, else one drawn from the tempered distribution."""
        if not self._axes:
            scores = inputs + temperature * noise.gumbel(size=inputs.shape)
            return Verdict(falls=int(scores.argmax()) == FALLS)
        mean, log_std = np.split(inputs, 2)
        lengths = mean + np.sqrt(temperature) * np.exp(log_std) * noise.normal(size=mean.shape)
        kept = np.clip(lengths, -LARGEST_OFFSET, LARGEST_OFFSET).tolist()
        return Offset(**({"x": 0.0, "y": 0.0} | dict(zip(self._axes, kept, strict=True))))

    def _fitted(self, prompt: Prompt) -> Image:
        """The last picture in the network's size, such as a photograph's."""
        picture = prompt.image
        assert picture is not None  # every question of this project shows one
        if picture.shape[:2] == (self._size, self._size):
            return picture
        return np.asarray(PillowImage.fromarray(picture).resize((self._size, self._size)))


def evaluate_baseline(
    config: BaselineConfig, policy: NetworkPolicy, photos: Sequence[Photo]
) -> PolicyResult:
    """Every configured task on test scenes, greedy and sampled; the photographs, greedy."""
    subject = Subject("baseline", config.name, config.name)
    asked = asked_of(config)
    decodings: tuple[Decoding, ...] = ("greedy", "sampled")
    results = []
    with closing(Simulator()) as simulator, closing(make_renderer(config.environment)) as renderer:
        for task in config.evaluation.tasks:
            for decoding in decodings:
                cell = make_cell(subject, Condition(task, decoding=decoding), asked)
                prepared = prepare(cell_source(cell), range(asked.scenes), renderer)
                answers = answer_scenes(cell, policy, prepared, simulator, renderer).answers
                results.append(TaskResult(task, decoding, answers))
        if photos:
            cell = make_cell(subject, Condition("stability", "real"), asked)
            answers = answer_photos(cell, policy, photos, renderer).answers
            results.append(TaskResult("real", "greedy", answers))
    return PolicyResult(config.name, tuple(results))


def asked_of(config: BaselineConfig) -> Asked:
    """What a baseline's own evaluation asks: the scenes of its configuration."""
    return Asked(
        scenes=config.evaluation.scenes,
        seed=config.seed,
        environment=config.environment,
        reward=config.reward,
        reasoning=False,
        temperature=1.0,
        max_completion_tokens=1,
    )


@contextmanager
def training(config: BaselineConfig, iterations_done: int = 0) -> Iterator[Baseline]:
    """A baseline whose workers end with the block."""
    baseline = Baseline(config, iterations_done)
    try:
        yield baseline
    finally:
        baseline.stop()


def _algorithm_config(config: BaselineConfig) -> Any:
    from ray.rllib.algorithms.ppo import PPOConfig
    from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig

    ppo = config.ppo
    return (
        PPOConfig()
        .environment(ENVIRONMENT, clip_actions=True, normalize_actions=False)
        .env_runners(num_env_runners=config.workers, batch_mode="complete_episodes")
        .learners(num_learners=0)
        .training(
            lr=ppo.lr,
            train_batch_size_per_learner=ppo.episodes,
            minibatch_size=ppo.minibatch,
            num_epochs=ppo.epochs,
            clip_param=ppo.clip,
            entropy_coeff=ppo.entropy_coef,
            grad_clip=ppo.max_grad_norm,
            # Episodes are a step or a few long, and what counts is how they end.
            gamma=1.0,
            lambda_=1.0,
            use_kl_loss=False,
        )
        .rl_module(
            model_config=DefaultModelConfig(
                conv_filters=[list(layer) for layer in ppo.convolutions],
                head_fcnet_hiddens=list(ppo.hidden),
                free_log_std=bool(TASKS[config.task].axes),
                vf_share_layers=True,
            )
        )
        .debugging(seed=config.seed, log_level="ERROR")
        .reporting(metrics_num_episodes_for_smoothing=ppo.episodes)
    )


def _make_environment(config: BaselineConfig, first: int) -> Callable[[Any], TrainingScenes]:
    def make(context: Any) -> TrainingScenes:
        # Worker 0 is the driver's, which plays nothing.
        own = max(context.worker_index - 1, 0)
        env = TowerEnv(config.task, config.environment, config.reward)
        return TrainingScenes(env, config.seed, first + own, config.workers)

    return make


def _at(tree: Mapping[str, Any], path: Sequence[str]) -> Any:
    for name in path:
        if not isinstance(tree, Mapping) or name not in tree:
            return None
        tree = tree[name]
    return tree
