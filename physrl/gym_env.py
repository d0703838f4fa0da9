"""Gymnasium environments of all tasks, for policies without language.

Importing this module registers `physrl/Stability-v0`, `physrl/PlaceX-v0` and so on:

    import gymnasium
    import physrl.gym_env

    env = gymnasium.make("physrl/Place-v0")
    image, info = env.reset(seed=0)
    image, reward, terminated, truncated, info = env.step(env.action_space.sample())
"""

from collections.abc import Collection
from contextlib import ExitStack
from typing import Any, get_args

import gymnasium
import numpy as np
from numpy.typing import NDArray

from physrl.config.environment import EnvironmentConfig, GeneratorName
from physrl.config.reward import RewardConfig, SimulatedRewardConfig
from physrl.environments.generators import GENERATORS
from physrl.environments.renderer import make_renderer
from physrl.environments.simulator import Simulator
from physrl.rewards.attempt import Move
from physrl.rewards.score import score
from physrl.tasks import TASKS
from physrl.tasks.answers import UNITS, format_action
from physrl.tasks.task import feedback_image, make_scene, scene_image
from physrl.types import Action, Image, Offset, SceneSpec, Split, Verdict

REACH = 8.0
"""Largest offset of an action, in block widths: across the widest scene, over the tallest."""
RENDERED_SIZE = 224
SEEDS = 2**31
SCENES = 2**31
"""Number of scenes in a stream."""
FALLS = 1
"""Action of Discrete(2) for the verdict that a block will fall."""


class TowerEnv(gymnasium.Env[Image, Any]):
    """An environment whose episode is a scene and whose observation is its image.

    The action is a verdict (0 all stand, 1 a block falls) or the offset of the red block in block
    widths, rounded to hundredths like a model's answer. An episode has as many steps as its task
    has attempts, and ends with the first success; only its last step is rewarded.

    Scene i after `reset(seed=s)` is scene i of seed s, as in training; the option `index` selects
    another.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 1}  # noqa: RUF012 - gymnasium's own form

    def __init__(
        self,
        task: str,
        environment: EnvironmentConfig | None = None,
        reward: RewardConfig | None = None,
        split: Split = "train",
        render_mode: str | None = None,
        generator: GeneratorName = "iid",
    ) -> None:
        """Make the environment of a task.

        Args:
            task: Name of the task.
            environment: Distribution of scenes; the default one if None.
            reward: Reward of an episode; the simulated reward if None.
            split: Stream of scenes.
            render_mode: `rgb_array` for images of 224 pixels, or None.
            generator: Named set of scenes.

        Raises:
            gymnasium.error.Error: there is no such task, split or generator.
            ConfigError: the generator would not change the environment's settings.
        """
        _check("task", task, TASKS)
        _check("split", split, get_args(Split))
        _check("generator", generator, GENERATORS)
        self.render_mode = render_mode
        self._task, self._split, self._generator = TASKS[task], split, generator
        self._settings = GENERATORS[generator](environment or EnvironmentConfig())
        self._reward = reward or SimulatedRewardConfig()
        self._simulator, self._renderer = Simulator(), make_renderer(self._settings)
        self._opened, self._closed = ExitStack(), False
        self._opened.callback(self._simulator.close)
        self._opened.callback(self._renderer.close)
        size = self._settings.image_size
        self.observation_space = gymnasium.spaces.Box(0, 255, (size, size, 3), np.uint8)
        self.action_space = action_space(len(self._task.axes))
        self._seed: int | None = None
        self._next = 0
        self._scenes: list[SceneSpec] = []
        self._moves: list[Move] = []

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Image, dict[str, Any]]:
        """Begin an episode with the next scene.

        Args:
            seed: Seed of a stream of scenes, which restarts at its first scene.
            options: `index` of a scene in the stream.

        Raises:
            SceneError: the settings admit no such scene.
            gymnasium.error.InvalidBound: the index is negative, or larger than any stream's.
            gymnasium.error.ClosedEnvironmentError: the environment is closed.
        """
        self._check_open()
        super().reset(seed=seed)
        if seed is not None or self._seed is None:
            self._seed = int(self.np_random.integers(SEEDS)) if seed is None else seed
            self._next = 0
        index = int((options or {}).get("index", self._next))
        if not 0 <= index < SCENES:
            raise gymnasium.error.InvalidBound(
                f"index is {index}: choose one from 0 to {SCENES - 1}"
            )
        self._next = index + 1
        scene = make_scene(
            self._task, self._settings, self._seed, self._split, index, self._generator
        )
        self._scenes, self._moves = [scene], []
        return self._image(self._settings.image_size), {"scene_id": scene.scene_id}

    def step(self, action: Any) -> tuple[Image, float, bool, bool, dict[str, Any]]:
        """Simulate the action and return an image of the outcome.

        Raises:
            gymnasium.error.ResetNeeded: the episode is over.
            gymnasium.error.InvalidAction: the action is not one of `action_space`.
            gymnasium.error.ClosedEnvironmentError: the environment is closed.
        """
        self._check_open()
        if not self._scenes or self._is_over():
            raise gymnasium.error.ResetNeeded("the episode is over: call reset()")
        decoded = self._decode(self._checked(action))
        first, scene = self._scenes[0], self._scenes[-1]
        outcome = self._task.act(scene, decoded, self._simulator)
        self._moves.append(Move(decoded, outcome))
        over = self._is_over()
        self._scenes.append(scene if over else self._task.advance(scene, outcome))
        reward = score(first, self._moves, self._reward).total if over else 0.0
        info = {
            "scene_id": first.scene_id,
            "answer": format_action(decoded, self._task.axes),
            "status": outcome.status,
            "success": outcome.success,
        }
        return self._image(self._settings.image_size), float(reward), over, False, info

    def render(self) -> Image | None:
        """Return a larger image of the current observation."""
        if self.render_mode is None or not self._scenes:
            return None
        return self._image(RENDERED_SIZE)

    def close(self) -> None:
        """Free the simulator and the renderer; further calls have no effect."""
        self._opened.close()
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise gymnasium.error.ClosedEnvironmentError("the environment is closed: make another")

    def _checked(self, action: Any) -> Any:
        """Convert an action, whose offsets may be of any numeric type, to its space's form."""
        checked = action
        if self._task.axes:
            try:
                checked = np.asarray(action, np.float32)
            except (TypeError, ValueError):
                checked = np.empty(0, np.float32)
        if not self.action_space.contains(checked):
            raise gymnasium.error.InvalidAction(
                f"action {action!r} is not in {self.action_space}: choose one that is"
            )
        return checked

    def _is_over(self) -> bool:
        done = len(self._moves)
        return done == self._task.attempts or (done > 0 and self._moves[-1].outcome.success)

    def _decode(self, action: Any) -> Action:
        if not self._task.axes:
            return Verdict(falls=int(action) == FALLS)
        lengths: NDArray[np.float64] = np.round(np.asarray(action, np.float64) * UNITS) / UNITS
        return Offset(
            **{"x": 0.0, "y": 0.0} | dict(zip(self._task.axes, lengths.tolist(), strict=True))
        )

    def _image(self, size: int) -> Image:
        if not self._moves:
            return scene_image(self._scenes[0], self._renderer, size)
        outcome = self._moves[-1].outcome
        scene, following = self._scenes[-2:]
        return feedback_image(scene, following, outcome, self._renderer, size)


def _check(what: str, name: str, names: Collection[str]) -> None:
    if name not in names:
        raise gymnasium.error.Error(f"{what} is '{name}': choose from {', '.join(names)}")


def action_space(numbers: int) -> gymnasium.Space[Any]:
    """Return the space of actions: Yes or No for 0 numbers, else offsets in block widths."""
    if numbers == 0:
        return gymnasium.spaces.Discrete(2)
    return gymnasium.spaces.Box(-REACH, REACH, (numbers,), np.float32)


def environment_id(task: str) -> str:
    """Return the id of a task's environment: `physrl/PlaceX-v0` for `place_x`."""
    return f"physrl/{''.join(word.capitalize() for word in task.split('_'))}-v0"


def register_all() -> None:
    """Register an environment for every task."""
    for name in TASKS:
        gymnasium.register(
            environment_id(name), entry_point="physrl.gym_env:TowerEnv", kwargs={"task": name}
        )


register_all()
