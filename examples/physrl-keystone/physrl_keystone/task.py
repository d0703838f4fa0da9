"""`keystone`: the red block on top is taken away; will any other block fall?"""

from dataclasses import replace
from typing import ClassVar

import numpy as np

from physrl.config.environment import EnvironmentConfig
from physrl.environments.geometry import margin
from physrl.environments.palette import RED
from physrl.environments.randomness import Streams
from physrl.environments.sampling import sample_tower
from physrl.environments.simulator import FALL_DISPLACEMENT, Simulator
from physrl.errors import SceneError
from physrl.tasks.answers import Axis, answer_text, format_action, parse_verdict
from physrl.tasks.release import Release
from physrl.types import Action, Block, Families, Outcome, SceneSpec, Shortcuts, Verdict

EQUAL = 0.02
"""Largest difference between the margins of the two scenes of a pair, in block widths."""
TOWERS = 20_000


class Keystone:
    """A standing tower whose red top block may be what holds it; of a pair one falls without it.

    Both towers of a pair (scenes 2k and 2k + 1) have equally many blocks, and equally large margins
    once the red block is gone. So neither of the two numbers tells the answer.
    """

    name = "keystone"
    wordings: tuple[str, ...] = (
        "The red block is taken away. Will any other block fall? Answer Yes or No.",
        "Someone lifts the red cube off. Does at least one other drop? Answer Yes or No.",
        "Without the red block, is the stack going to collapse? Answer Yes or No.",
    )
    achievement = "predicted rightly whether a tower needed its top block in {share} of new scenes"
    axes: tuple[Axis, ...] = ()
    shortcuts: ClassVar[Shortcuts] = {}
    families: ClassVar[Families] = {}
    attempts = 1
    fewest_blocks = 3  # one block that remains always stands
    movable = False

    def sample(self, streams: Streams, settings: EnvironmentConfig) -> tuple[Block, ...]:
        """Draw the pair from the stream that its scenes share, and return this scene's tower."""
        low, high = settings.num_blocks
        num_blocks = max(self.fewest_blocks, int(streams.pair.integers(low, high + 1)))
        first_falls = bool(streams.pair.random() < 0.5)
        smallest, largest = settings.margin
        falling = _draw(streams.pair, settings, num_blocks, -largest, -smallest)
        target = -margin(falling[:-1])
        standing = _draw(streams.pair, settings, num_blocks, target - EQUAL, target + EQUAL)
        return falling if first_falls != streams.second else standing

    def parse(self, completion: str) -> Action:
        return parse_verdict(completion)

    def ideal(self, scene: SceneSpec) -> Verdict:
        return Verdict(falls=margin(scene.blocks[:-1]) < 0)

    def target(self, scene: SceneSpec) -> str:
        return answer_text(format_action(self.ideal(scene), self.axes))

    def release(self, scene: SceneSpec, action: Action) -> Release | None:
        return Release(scene.blocks[:-1]) if isinstance(action, Verdict) else None

    def act(self, scene: SceneSpec, action: Action, simulator: Simulator) -> Outcome:
        """Take the red block away and simulate; the verdict succeeds if it predicts the outcome."""
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


def _draw(
    rng: np.random.Generator, settings: EnvironmentConfig, num_blocks: int, low: float, high: float
) -> tuple[Block, ...]:
    """Draw a standing tower whose margin without its top block lies between two bounds."""
    for _ in range(TOWERS):
        tower = sample_tower(rng, settings, num_blocks, stable=True, depth=True)
        if low <= margin(tower[:-1]) <= high:
            return (*tower[:-1], replace(tower[-1], color=RED))
    raise SceneError(
        f"no standing tower of {num_blocks} blocks in {TOWERS} has a margin of {low:.2f} to "
        f"{high:.2f} without its top block: widen environment.margin or environment.num_blocks"
    )
