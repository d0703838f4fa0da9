"""`place_x`: the red block is held at the right height; move it sideways onto the tower."""

from physrl.config.environment import EnvironmentConfig
from physrl.environments.randomness import Streams
from physrl.environments.simulator import Simulator
from physrl.tasks.answers import Axis, answer_text, parse_offset, words
from physrl.tasks.placing import (
    GIVE_UP_BEYOND,
    ideal_on_top,
    outcome_on_top,
    release_moved,
    resting_on,
    sample_carrying,
)
from physrl.tasks.release import Release
from physrl.types import Action, Block, Offset, Outcome, SceneSpec


class PlaceX:
    """A standing tower, and a red block in the air beside its top; all in one plane."""

    name = "place_x"
    wordings: tuple[str, ...] = (
        "Move the red block sideways onto the tower so that all stand. Answer x.",
        "The red block is high enough. By how much must it move to stand on the stack? Answer x.",
        "Shift the red block left or right until the tower can carry it. Answer x.",
        "How far right must the red cube go to rest upon the tower? Answer x.",
    )
    achievement = (
        "moved the red block sideways so that the taller tower stood in {share} of new scenes"
    )
    axes: tuple[Axis, ...] = ("x",)
    attempts = 1
    movable = True

    def sample(self, streams: Streams, settings: EnvironmentConfig) -> tuple[Block, ...]:
        rng = streams.own
        low, high = settings.num_blocks
        tower, red = sample_carrying(rng, settings, int(rng.integers(low, high + 1)) - 1)
        return (*tower, resting_on(red, tower[-1]))

    def parse(self, completion: str) -> Action:
        return parse_offset(completion, self.axes)

    def ideal(self, scene: SceneSpec) -> Offset:
        return ideal_on_top(scene)

    def target(self, scene: SceneSpec) -> str:
        return answer_text(words(self.ideal(scene), self.axes))

    def release(self, scene: SceneSpec, action: Action) -> Release | None:
        return release_moved(scene, action, GIVE_UP_BEYOND)

    def act(self, scene: SceneSpec, action: Action, simulator: Simulator) -> Outcome:
        """Put the red block where the answer says, let go, and see."""
        released = self.release(scene, action)
        return outcome_on_top(scene, action, self.ideal(scene), released, simulator)
