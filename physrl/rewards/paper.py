"""The study's analytic rewards (arXiv 2602.06033, section 3), which look at the answer alone."""

from physrl.environments.palette import RED
from physrl.types import Action, Block, Offset, Outcome, SceneSpec, Unparseable

PARSE_FAILURE = -5.0
ILLEGAL = -5.0
BESIDE = 5.0
ON_TOP = 10.0
CORRECT, WRONG = 1.0, 0.0
FARTHEST = 10.0
"""Keeps the reward bounded for answers outside the scene."""


def paper(scene: SceneSpec, action: Action, outcome: Outcome) -> float:
    """Parse failure or illegal -5; beside the tower 5 - d; over the block that carries it 10 - d.

    d is the distance to the ideal place in block widths. Stability: right 1, wrong 0.
    """
    if isinstance(action, Unparseable):
        return PARSE_FAILURE
    if not isinstance(action, Offset):
        return CORRECT if outcome.success else WRONG
    if outcome.status == "illegal":
        return ILLEGAL
    assert outcome.distance is not None  # every offset task has an ideal
    red, carrier = _red_and_carrier(scene)
    over = abs(red.x + action.x - carrier.x) < (red.size + carrier.size) / 2
    higher = red.y + action.y > carrier.y
    return (ON_TOP if over and higher else BESIDE) - min(outcome.distance, FARTHEST)


def _red_and_carrier(scene: SceneSpec) -> tuple[Block, Block]:
    """The block that is moved, and the one that it belongs on: always the one listed before it."""
    index = next(index for index, block in enumerate(scene.blocks) if block.color == RED)
    return scene.blocks[index], scene.blocks[index - 1]
