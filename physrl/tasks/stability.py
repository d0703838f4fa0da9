"""`stability`: will any block fall?"""

import numpy as np

from physrl.config.environment import EnvironmentConfig
from physrl.environments.sampling import sample_tower
from physrl.environments.simulator import FALL_DISPLACEMENT, Simulator
from physrl.tasks.answers import answer_text, parse_verdict
from physrl.types import Action, Block, Outcome, SceneSpec, Unparseable, Verdict

QUESTION = "The tower is let go. Will any block fall? Answer Yes or No."


class Stability:
    """A tower at the moment of release; half of all towers fall."""

    name = "stability"
    question = QUESTION
    attempts = 1
    movable = False

    def sample(self, rng: np.random.Generator, settings: EnvironmentConfig) -> tuple[Block, ...]:
        low, high = settings.num_blocks
        return sample_tower(
            rng,
            settings,
            int(rng.integers(low, high + 1)),
            stable=bool(rng.random() < 0.5),
            depth=True,
        )

    def parse(self, completion: str) -> Action:
        return parse_verdict(completion)

    def ideal(self, scene: SceneSpec) -> Verdict:
        return Verdict(falls=scene.margin < 0)

    def target(self, scene: SceneSpec) -> str:
        return answer_text("Yes" if self.ideal(scene).falls else "No")

    def act(self, scene: SceneSpec, action: Action, simulator: Simulator) -> Outcome:
        """Let the tower go; the verdict succeeds if it foretold what happens."""
        if isinstance(action, Unparseable):
            return Outcome("unparseable", success=False)
        assert isinstance(action, Verdict)
        settled = simulator.settle(scene.blocks)
        farthest = max(settled.displacements)
        return Outcome(
            "settled",
            success=action.falls == (farthest > FALL_DISPLACEMENT),
            displacement=farthest,
            poses=settled.poses,
        )
