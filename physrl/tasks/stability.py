"""`stability`: will any block fall?"""

from typing import ClassVar

from physrl.config.environment import EnvironmentConfig
from physrl.environments.randomness import Streams
from physrl.environments.sampling import place_tower, sample_tower
from physrl.environments.simulator import FALL_DISPLACEMENT, Simulator
from physrl.environments.twins import sample_twins
from physrl.errors import SceneError
from physrl.tasks.answers import Axis, answer_text, format_action, parse_verdict
from physrl.tasks.release import Release
from physrl.types import Action, Block, Families, Outcome, SceneSpec, Shortcuts, Verdict


class Stability:
    """A tower at the moment of release; of scenes 2k and 2k + 1 one falls."""

    name = "stability"
    wordings: tuple[str, ...] = (
        "The tower is let go. Will any block fall? Answer Yes or No.",
        "The blocks are released now. Does at least one of them drop? Answer Yes or No.",
        "Nothing holds the stack any longer. Is it going to collapse? Answer Yes or No.",
        "Look at the cubes. Will some of them tumble once they are free? Answer Yes or No.",
    )
    achievement = "predicted rightly whether a tower would fall in {share} of new scenes"
    axes: tuple[Axis, ...] = ()
    attempts = 1
    fewest_blocks = 3  # the outlines of two tell whether the upper one falls
    movable = False
    shortcuts: ClassVar[Shortcuts] = {}
    families: ClassVar[Families] = {}

    def sample(self, streams: Streams, settings: EnvironmentConfig) -> tuple[Block, ...]:
        """Draw a tower; the two of a pair have equally many blocks and exactly one stands."""
        low, high = settings.num_blocks
        if high < self.fewest_blocks:
            raise SceneError(
                f"environment.num_blocks is [{low}, {high}]: towers of stability have "
                f"{self.fewest_blocks} blocks or more, because outlines alone show whether one of "
                f"two falls; set environment.num_blocks=[{low}, {self.fewest_blocks}]"
            )
        num_blocks = int(streams.pair.integers(max(low, self.fewest_blocks), high + 1))
        stable = bool(streams.pair.random() < 0.5) != streams.second
        if not settings.twins:
            return sample_tower(streams.own, settings, num_blocks, stable=stable, depth=True)
        standing, falling = sample_twins(streams.pair, settings, num_blocks)
        return place_tower(streams.own, settings, standing if stable else falling)

    def parse(self, completion: str) -> Action:
        return parse_verdict(completion)

    def ideal(self, scene: SceneSpec) -> Verdict:
        return Verdict(falls=scene.margin < 0)

    def target(self, scene: SceneSpec) -> str:
        return answer_text(format_action(self.ideal(scene), self.axes))

    def release(self, scene: SceneSpec, action: Action) -> Release | None:
        return Release(scene.blocks) if isinstance(action, Verdict) else None

    def act(self, scene: SceneSpec, action: Action, simulator: Simulator) -> Outcome:
        """Release the tower and simulate; the verdict succeeds if it predicted the outcome."""
        released = self.release(scene, action)
        if not isinstance(action, Verdict) or released is None:
            return Outcome("unparseable", success=False)
        settled = released.settle(simulator)
        farthest = max(settled.displacements)
        return Outcome(
            "settled",
            success=action.falls == (farthest > FALL_DISPLACEMENT),
            displacement=farthest,
            poses=settled.poses,
            motion=settled.motion,
        )
