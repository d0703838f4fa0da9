"""Every task as a Gymnasium environment, for policies that act without language.

Importing this module registers `physrl/Stability-v0`, `physrl/PlaceX-v0` and so on:

    import gymnasium
    import physrl.gym_env

    env = gymnasium.make("physrl/Place-v0")
    picture, info = env.reset(seed=0)
    picture, reward, terminated, truncated, info = env.step(env.action_space.sample())
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
from physrl.environments.simulator import Simulator, start_pose
from physrl.rewards.attempt import Move
from physrl.rewards.score import score
from physrl.tasks import TASKS
from physrl.tasks.answers import UNITS, words
from physrl.tasks.task import make_scene
from physrl.types import Action, Image, Offset, Pose, SceneSpec, Split, Verdict

REACH = 8.0
"""Offsets up to this many block widths can be chosen: across the widest scene, over the tallest."""
RENDERED_SIZE = 224
SEEDS = 2**31
SCENES = 2**31
"""Scenes in a stream."""
FALLS = 1
"""The verdict that a block will fall, among Discrete(2)."""


class TowerEnv(gymnasium.Env[Image, Any]):
    """One scene an episode; the observation is its picture.

    The action is a verdict (0 all stand, 1 a block falls) or how far to move the red block, in
    block widths, rounded to the hundredths that a model can answer in. An episode has as many steps
    as its task has attempts, and ends with the first success; its last step earns the reward of
    the whole.

    Scene i after `reset(seed=s)` is scene i of seed s, as everywhere in this project; the option
    `index` chooses another.
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
        """An environment of one task.

        Args:
            environment: which scenes; the default ones if None.
            reward: what an episode earns; the simulated reward if None.
            split: the stream that scenes come from.
            render_mode: `rgb_array`, a picture of 224 pixels for people, or None.
            generator: the named set that scenes come from.

        Raises:
            gymnasium.error.Error: there is no such task, split or generator.
            ConfigError: the generator has nothing to offer beside the environment's settings.
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
        self._scene: SceneSpec | None = None
        self._moves: list[Move] = []

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Image, dict[str, Any]]:
        """The next scene.

        Args:
            seed: begin a run's stream of scenes anew.
            options: `index`, which scene of the stream.

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
        self._scene = make_scene(
            self._task, self._settings, self._seed, self._split, index, self._generator
        )
        self._moves = []
        return self._picture(self._settings.image_size), {"scene_id": self._scene.scene_id}

    def step(self, action: Any) -> tuple[Image, float, bool, bool, dict[str, Any]]:
        """Carry the action out, and show what came of it.

        Raises:
            gymnasium.error.ResetNeeded: the episode is over.
            gymnasium.error.InvalidAction: the action is not one of `action_space`.
            gymnasium.error.ClosedEnvironmentError: the environment is closed.
        """
        self._check_open()
        if self._scene is None or self._over():
            raise gymnasium.error.ResetNeeded("the episode is over: call reset()")
        meant = self._meaning(self._checked(action))
        outcome = self._task.act(self._scene, meant, self._simulator)
        self._moves.append(Move(meant, outcome))
        over = self._over()
        reward = score(self._scene, self._moves, self._reward).total if over else 0.0
        info = {
            "scene_id": self._scene.scene_id,
            "answer": words(meant, self._task.axes),
            "status": outcome.status,
            "success": outcome.success,
        }
        return self._picture(self._settings.image_size), float(reward), over, False, info

    def render(self) -> Image | None:
        """What the observation shows, larger."""
        if self.render_mode is None or self._scene is None:
            return None
        return self._picture(RENDERED_SIZE)

    def close(self) -> None:
        """Free the simulator and the renderer; a second time changes nothing."""
        self._opened.close()
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise gymnasium.error.ClosedEnvironmentError("the environment is closed: make another")

    def _checked(self, action: Any) -> Any:
        """The action as its space has it: any numbers do for lengths, not only float32."""
        kept = action
        if self._task.axes:
            try:
                kept = np.asarray(action, np.float32)
            except (TypeError, ValueError):
                kept = np.empty(0, np.float32)
        if not self.action_space.contains(kept):
            raise gymnasium.error.InvalidAction(
                f"action {action!r} is not in {self.action_space}: choose one that is"
            )
        return kept

    def _over(self) -> bool:
        done = len(self._moves)
        return done == self._task.attempts or (done > 0 and self._moves[-1].outcome.success)

    def _meaning(self, action: Any) -> Action:
        if not self._task.axes:
            return Verdict(falls=int(action) == FALLS)
        lengths: NDArray[np.float64] = np.round(np.asarray(action, np.float64) * UNITS) / UNITS
        return Offset(
            **{"x": 0.0, "y": 0.0} | dict(zip(self._task.axes, lengths.tolist(), strict=True))
        )

    def _picture(self, size: int) -> Image:
        assert self._scene is not None
        poses: tuple[Pose, ...] = self._moves[-1].outcome.poses if self._moves else ()
        poses = poses or tuple(map(start_pose, self._scene.blocks))
        return self._renderer.render(poses, self._scene.camera, self._scene.appearance, size)


def _check(what: str, name: str, names: Collection[str]) -> None:
    if name not in names:
        raise gymnasium.error.Error(f"there is no {what} '{name}': choose {' or '.join(names)}")


def action_space(numbers: int) -> gymnasium.Space[Any]:
    """Yes or No where no number is asked for, else lengths in block widths."""
    if numbers == 0:
        return gymnasium.spaces.Discrete(2)
    return gymnasium.spaces.Box(-REACH, REACH, (numbers,), np.float32)


def environment_id(task: str) -> str:
    """`place_x` to `physrl/PlaceX-v0`."""
    return f"physrl/{''.join(word.capitalize() for word in task.split('_'))}-v0"


def register_all() -> None:
    """Make every task known to gymnasium."""
    for name in TASKS:
        gymnasium.register(
            environment_id(name), entry_point="physrl.gym_env:TowerEnv", kwargs={"task": name}
        )


register_all()
