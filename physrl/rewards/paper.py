"""The study's analytic rewards (arXiv 2602.06033, section 3)."""

from physrl.types import Action, Offset, Outcome, Reward, SceneSpec, Unparseable

PARSE_FAILURE = -5.0
ILLEGAL = -5.0
BESIDE = 5.0
ON_TOP = 10.0
CORRECT, WRONG = 1.0, 0.0
FARTHEST = 10.0
"""Keeps the reward bounded for answers outside the scene."""


def paper_reward(scene: SceneSpec, action: Action, outcome: Outcome) -> Reward:
    """Parse failure or illegal -5; beside the tower 5 - d; on top and higher 10 - d.

    d is the distance to the ideal place in block widths. Stability: right 1, wrong 0.
    """
    if isinstance(action, Unparseable):
        return _single(PARSE_FAILURE)
    if not isinstance(action, Offset):
        return _single(CORRECT if outcome.success else WRONG)
    if outcome.status == "illegal":
        return _single(ILLEGAL)
    assert outcome.distance is not None  # every offset task has an ideal
    red, top = scene.blocks[-1], scene.tower[-1]
    x, y = red.x + action.x, red.y + action.y
    on_top = abs(x - top.x) < 1 and y > top.y
    return _single((ON_TOP if on_top else BESIDE) - min(outcome.distance, FARTHEST))


def _single(total: float) -> Reward:
    return Reward(total, {"paper": total})
