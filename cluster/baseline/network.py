"""A network without language as a generator: its input is an image, its output an answer's text.

The answers are formatted like those of a language model, so that the same code parses, executes and
scores them.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from physrl.config.baseline import BaselineConfig
from physrl.gym_env import FALLS, action_space
from physrl.protocols import Sampling, prompt_seed
from physrl.tasks import TASKS
from physrl.tasks.answers import LARGEST_OFFSET, answer_text, format_action
from physrl.types import Action, Completion, Generation, Image, Offset, Prompt, Verdict

ENVIRONMENT = "physrl-training-scenes"
"""Name of the environment in RLlib's registry."""
FILE = Path("policy") / "network.safetensors"
"""File of the weights in a checkpoint."""


class NetworkPolicy:
    """A `Generator` that answers the last image of each prompt."""

    def __init__(self, config: BaselineConfig, checkpoint: Path) -> None:
        """Load a network that `save_network` wrote."""
        from safetensors.torch import load_file

        self._axes = TASKS[config.task].axes
        self._size = config.environment.image_size
        self._module = make_network(config)
        self._module.load_state_dict(load_file(checkpoint / FILE))

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Generation]:
        """Sample a group of answers for each prompt, without tokens and log-probabilities."""
        import torch

        images = np.stack([observation(self._resized(prompt)) for prompt in prompts])
        with torch.no_grad():
            out = self._module.forward_inference({"obs": torch.from_numpy(images)})
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
            yield Completion(answer_text(format_action(action, self._axes)), (), (), False, 0)

    def _action(
        self, inputs: NDArray[np.float64], temperature: float, noise: np.random.Generator
    ) -> Action:
        """Sample an action at a temperature; at 0, return the most likely one."""
        if not self._axes:
            scores = inputs + temperature * noise.gumbel(size=inputs.shape)
            return Verdict(falls=int(scores.argmax()) == FALLS)
        mean, log_std = np.split(inputs, 2)
        lengths = mean + np.sqrt(temperature) * np.exp(log_std) * noise.normal(size=mean.shape)
        clipped = np.clip(lengths, -LARGEST_OFFSET, LARGEST_OFFSET).tolist()
        return Offset(**({"x": 0.0, "y": 0.0} | dict(zip(self._axes, clipped, strict=True))))

    def _resized(self, prompt: Prompt) -> Image:
        """Return the last image at the network's resolution, which a photograph may not have."""
        image = prompt.image
        assert image is not None  # every prompt has one
        if image.shape[:2] == (self._size, self._size):
            return image
        return np.asarray(PillowImage.fromarray(image).resize((self._size, self._size)))


def observation(image: Image) -> NDArray[np.float32]:
    """Scale an image to values from 0 to 1 (height x width x 3), as RLlib's encoder expects."""
    scaled: NDArray[np.float32] = image.astype(np.float32) / np.float32(255)
    return scaled


def observation_space(size: int) -> gymnasium.spaces.Box:
    """Return the space of scaled square images of `size` pixels a side."""
    return gymnasium.spaces.Box(0, 1, (size, size, 3), np.float32)


def make_network(config: BaselineConfig) -> Any:
    """Build an untrained network by RLlib."""
    size, numbers = config.environment.image_size, len(TASKS[config.task].axes)
    spaces = (observation_space(size), action_space(numbers))
    return (
        ppo_algorithm(config)
        .get_rl_module_spec(
            spaces={"__env__": spaces, "default_policy": spaces}, inference_only=True
        )
        .build()
    )


def save_network(network: Any, folder: Path) -> None:
    """Write the weights of a network into a checkpoint's folder."""
    from safetensors.torch import save_file

    path = folder / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    weights = {name: value.contiguous() for name, value in network.state_dict().items()}
    save_file(weights, path)


def ppo_algorithm(config: BaselineConfig) -> Any:
    """Make RLlib's configuration of the algorithm and its network."""
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
            # Episodes have one to three steps, and only the last one is rewarded.
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
