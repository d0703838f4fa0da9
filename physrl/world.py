"""The world that rollouts act in: a simulator, and a renderer for each kind of image."""

from collections.abc import Callable, Iterable, Sequence

from physrl.config.environment import EnvironmentConfig
from physrl.demonstrations import demonstrate
from physrl.environments.renderer import Renderer, make_renderer
from physrl.environments.simulator import Simulator
from physrl.groups import GroupState
from physrl.protocols import RolloutRequest
from physrl.scene_source import SceneSource, prepare
from physrl.turns import carry_out, follow_ups
from physrl.types import Demonstration, Generation, RolloutGroup


class World:
    """Draws and renders scenes, and carries out completions."""

    def __init__(
        self, make_renderer: Callable[[EnvironmentConfig], Renderer] = make_renderer
    ) -> None:
        self._simulator = Simulator()
        self._make_renderer = make_renderer
        self._renderers: dict[str, Renderer] = {}

    def prepare(self, request: RolloutRequest, index: int) -> GroupState:
        """Draw and render the scene of an index, and ask the first question."""
        source = request.source
        (scene,), (prompt,) = prepare(source, [index], self.renderer(source.environment))
        return GroupState(index, RolloutGroup(scene, prompt, ()), (prompt,))

    def act(
        self, request: RolloutRequest, state: GroupState, generations: Sequence[Generation]
    ) -> GroupState:
        """Carry out the completions of a state's prompts, and ask what follows from them.

        Raises:
            SimulationError: PyBullet gave values that are not finite.
        """
        source = request.source
        record = carry_out(
            state.record,
            state.prompts,
            generations,
            request.reward,
            self._simulator,
            source.auxiliary,
        )
        prompts = follow_ups(record, self.renderer(source.environment), source)
        return GroupState(state.index, record, prompts)

    def demonstrate(self, source: SceneSource, indices: Iterable[int]) -> list[Demonstration]:
        """Answer scenes ideally, as `physrl.demonstrations.demonstrate`."""
        return demonstrate(source, indices, self.renderer(source.environment), self._simulator)

    def renderer(self, settings: EnvironmentConfig) -> Renderer:
        """Return the renderer that these settings name; each is made once."""
        if settings.renderer not in self._renderers:
            self._renderers[settings.renderer] = self._make_renderer(settings)
        return self._renderers[settings.renderer]

    def close(self) -> None:
        """Free the simulator and the renderers."""
        self._simulator.close()
        for renderer in self._renderers.values():
            renderer.close()
        self._renderers.clear()
