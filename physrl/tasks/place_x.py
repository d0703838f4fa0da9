"""`place_x`: the red block is held at the right height; move it sideways onto the tower."""

from dataclasses import replace

from physrl.config.environment import EnvironmentConfig
from physrl.environments.randomness import Streams
from physrl.environments.simulator import Simulator
from physrl.tasks.answers import Axis, answer_text, parse_offset, words
from physrl.tasks.placing import (
    GIVE_UP_BEYOND,
    draw_side,
    ideal_on_top,
    outcome_on_top,
    release_moved,
    resting_on,
    sample_carrying,
)
from physrl.tasks.release import Release
from physrl.types import Action, Block, Offset, Outcome, SceneSpec

GAP = (1.2, 2.6)
"""How far the red block is beside the top block, between their centres."""


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
        """Of the two scenes of a pair, one's red block has to move to the right."""
        rng = streams.own
        low, high = settings.num_blocks
        tower, red = sample_carrying(rng, settings, int(rng.integers(low, high + 1)) - 1)
        x = tower[-1].x - draw_side(streams) * float(rng.uniform(*GAP))
        return (*tower, replace(resting_on(red, tower[-1]), x=x))

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
