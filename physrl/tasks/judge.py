"""`judge`: will any block fall once the red one is in the outlined place?"""

from dataclasses import replace

from physrl.config.environment import EnvironmentConfig
from physrl.environments.palette import OUTLINE, RED
from physrl.environments.randomness import Streams
from physrl.environments.sampling import sample_beside
from physrl.tasks.release import Release
from physrl.tasks.stability import Stability
from physrl.types import Action, Block, SceneSpec, Verdict


class Judge(Stability):
    """A tower without its top block, which lies beside it in red, and an outline of its place.

    The towers are those of `stability`, also in pairs: with the red block in its place, of scenes
    2k and 2k + 1 one falls.
    """

    name = "judge"
    wordings: tuple[str, ...] = (
        "The red block is put at the outline, then all is let go. Will any block fall? "
        "Answer Yes or No.",
        "Suppose the red cube moves into the red frame. Does anything drop then? Answer Yes or No.",
        "With the red block where the lines show, is the stack going to collapse? "
        "Answer Yes or No.",
        "Imagine the red cube inside the drawn edges. Will some cubes tumble? Answer Yes or No.",
    )
    achievement = (
        "predicted rightly whether a tower would fall after a move in {share} of new scenes"
    )
    movable = True

    def sample(self, streams: Streams, settings: EnvironmentConfig) -> tuple[Block, ...]:
        """Draw a tower as in `stability`, and lay its top block beside it."""
        *below, top = super().sample(streams, settings)
        red = sample_beside(streams.own, tuple(below), replace(top, color=RED, z=0.0))
        return (*below, red, replace(top, color=OUTLINE))

    def release(self, scene: SceneSpec, action: Action) -> Release | None:
        if not isinstance(action, Verdict):
            return None
        assert scene.outline is not None
        return Release((*scene.tower, replace(scene.outline, color=RED)))
