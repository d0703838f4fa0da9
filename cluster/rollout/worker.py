"""A PyBullet worker: it draws scenes, and carries out what the model answers."""

from collections.abc import Sequence

from physrl.config.environment import EnvironmentConfig
from physrl.config.reward import RewardConfig
from physrl.demonstrations import demonstrate
from physrl.environments.renderer import Renderer, make_renderer
from physrl.environments.simulator import Simulator
from physrl.rollout import follow_ups, retry, roll_out
from physrl.scene_source import SceneSource, prepare
from physrl.types import Demonstration, Generation, Prompt, RolloutGroup, SceneSpec


class RolloutWorker:
    """One simulator and one renderer; what an actor is made of."""

    def __init__(self) -> None:
        self._simulator = Simulator()
        self._renderers: dict[str, Renderer] = {}

    def ready(self) -> None:
        """There once the worker has started."""

    def prepare(
        self, source: SceneSource, indices: Sequence[int]
    ) -> tuple[int, list[SceneSpec], list[Prompt]]:
        """How many scenes, the scenes, and their prompts."""
        scenes, prompts = prepare(source, indices, self._renderer(source.environment))
        return len(scenes), scenes, prompts

    def demonstrate(
        self, source: SceneSource, indices: Sequence[int]
    ) -> tuple[int, list[Demonstration]]:
        """How many, and prompts with their ideal answers."""
        renderer = self._renderer(source.environment)
        shown = demonstrate(source, indices, renderer, self._simulator)
        return len(shown), shown

    def roll_out(
        self,
        source: SceneSource,
        scenes: Sequence[SceneSpec],
        prompts: Sequence[Prompt],
        generations: Sequence[Generation],
        reward: RewardConfig,
    ) -> tuple[int, list[RolloutGroup], list[Prompt]]:
        """Carry out every completion.

        Returns:
            How many prompts follow, the groups, and what the model is asked next.
        """
        groups = roll_out(scenes, prompts, generations, reward, self._simulator, source.auxiliary)
        return self._with_follow_ups(source, groups)

    def retry(
        self,
        source: SceneSource,
        groups: Sequence[RolloutGroup],
        prompts: Sequence[Prompt],
        generations: Sequence[Generation],
        reward: RewardConfig,
    ) -> tuple[int, list[RolloutGroup], list[Prompt]]:
        """Carry out the next attempts; returns as `roll_out` does."""
        retried = retry(groups, prompts, generations, reward, self._simulator, source.auxiliary)
        return self._with_follow_ups(source, retried)

    def _with_follow_ups(
        self, source: SceneSource, groups: list[RolloutGroup]
    ) -> tuple[int, list[RolloutGroup], list[Prompt]]:
        prompts = follow_ups(groups, self._renderer(source.environment), source)
        return len(prompts), groups, prompts

    def _renderer(self, settings: EnvironmentConfig) -> Renderer:
        if settings.renderer not in self._renderers:
            self._renderers[settings.renderer] = make_renderer(settings)
        return self._renderers[settings.renderer]
