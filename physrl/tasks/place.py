"""`place`: move the red block on top so that the tower is taller and stands."""

from typing import ClassVar

from physrl.config.environment import EnvironmentConfig
from physrl.environments.randomness import Streams
from physrl.environments.sampling import sample_beside
from physrl.environments.simulator import Simulator
from physrl.tasks.answers import Axis, answer_text, format_action, parse_offset
from physrl.tasks.landmarks import ALIGNED, Guess
from physrl.tasks.placing import (
    GIVE_UP_BEYOND,
    guessed_on_top,
    guesses_on_top,
    ideal_on_top,
    outcome_on_top,
    release_moved,
    sample_carrying,
)
from physrl.tasks.release import Release
from physrl.types import Action, Block, Families, Offset, Outcome, SceneSpec, Shortcuts

MIDWAY = Guess("below", "lowest", 0.5)


class Place:
    """A tower, and a red block on the ground beside it; all in one plane."""

    name = "place"
    wordings: tuple[str, ...] = (
        "Move the red block on top of the tower so that all stand. Answer x y.",
        "Put the red block onto the stack without a fall. By how much must it move? Answer x y.",
        "Make the tower higher by the red block, and let nothing collapse. Answer x y.",
        "How far right and how far up must the red cube go to rest upon the tower? Answer x y.",
    )
    achievement = "put the red block on top so that the taller tower stood in {share} of new scenes"
    axes: tuple[Axis, ...] = ("x", "y")
    attempts = 1
    fewest_blocks = 2
    movable = True
    shortcuts: ClassVar[Shortcuts] = {
        "aligner": lambda scene: guessed_on_top(scene, ALIGNED),
        "midway": lambda scene: guessed_on_top(scene, MIDWAY),
    }
    families: ClassVar[Families] = {"guess": guesses_on_top}
    give_up_beyond = GIVE_UP_BEYOND

    def sample(self, streams: Streams, settings: EnvironmentConfig) -> tuple[Block, ...]:
        tower, red = sample_carrying(streams.own, settings)
        return (*tower, sample_beside(streams.own, tower, red))

    def parse(self, completion: str) -> Action:
        return parse_offset(completion, self.axes)

    def ideal(self, scene: SceneSpec) -> Offset:
        return ideal_on_top(scene)

    def target(self, scene: SceneSpec) -> str:
        return answer_text(format_action(self.ideal(scene), self.axes))

    def release(self, scene: SceneSpec, action: Action) -> Release | None:
        return release_moved(scene, action, self.give_up_beyond)

    def act(self, scene: SceneSpec, action: Action, simulator: Simulator) -> Outcome:
        """Move the red block and simulate."""
        released = self.release(scene, action)
        return outcome_on_top(scene, action, self.ideal(scene), released, simulator)
