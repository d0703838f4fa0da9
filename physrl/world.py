"""The world of rollouts: a simulator, and a renderer for each kind of image."""

from collections.abc import Callable, Iterable, Sequence

from physrl.config.environment import EnvironmentConfig
from physrl.demonstrations import demonstrate
from physrl.environments.renderer import Renderer, make_renderer
from physrl.environments.simulator import Simulator
from physrl.groups import GroupState
from physrl.protocols import RolloutRequest
from physrl.question_source import QuestionSource, Source
from physrl.replies import answer_question, demonstrate_answers
from physrl.scene_source import prepare
from physrl.training_records import Demonstration
from physrl.turns import carry_out, follow_ups
from physrl.types import Generation, Question, RolloutGroup


class World:
    """The simulator and the renderers of rollouts; `close` it at the end."""

    def __init__(
        self, make_renderer: Callable[[EnvironmentConfig], Renderer] = make_renderer
    ) -> None:
        self._simulator = Simulator()
        self._make_renderer = make_renderer
        self._renderers: dict[str, Renderer] = {}

    def prepare(self, request: RolloutRequest, index: int) -> GroupState:
        """Sample and render the scene of an index, or read its question; make the first prompt."""
        source = request.source
        if isinstance(source, QuestionSource):
            question, asked = source.ask(index)
            return GroupState(index, RolloutGroup(question, asked, ()), (asked,))
        (scene,), (prompt,) = prepare(source, [index], self.renderer(source.environment))
        return GroupState(index, RolloutGroup(scene, prompt, ()), (prompt,))

    def act(
        self, request: RolloutRequest, state: GroupState, generations: Sequence[Generation]
    ) -> GroupState:
        """Execute the completions of a state's prompts, and make the prompts of the next turn.

        Raises:
            SimulationError: PyBullet returned values that are not finite.
        """
        source, asked = request.source, state.record.scene
        if isinstance(source, QuestionSource):
            assert isinstance(asked, Question)
            (generation,) = generations
            answered = answer_question(state.record, asked, generation, request.reward)
            return GroupState(state.index, answered, ())
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

    def demonstrate(self, source: Source, indices: Iterable[int]) -> list[Demonstration]:
        """Make the demonstrations of scenes, see `physrl.demonstrations`, or of questions."""
        if isinstance(source, QuestionSource):
            return demonstrate_answers(source, indices)
        return demonstrate(source, indices, self.renderer(source.environment), self._simulator)

    def renderer(self, settings: EnvironmentConfig) -> Renderer:
        """Return the renderer that the settings name; each is created once."""
        if settings.renderer not in self._renderers:
            self._renderers[settings.renderer] = self._make_renderer(settings)
        return self._renderers[settings.renderer]

    def close(self) -> None:
        """Free the simulator and the renderers."""
        self._simulator.close()
        for renderer in self._renderers.values():
            renderer.close()
        self._renderers.clear()
