"""Analytic reward of the study (arXiv 2602.06033, section 3), a function of the answer alone."""

from collections.abc import Sequence

from physrl.environments.palette import RED
from physrl.rewards.attempt import ScoredAttempt
from physrl.rewards.early import early
from physrl.tasks import TASKS
from physrl.types import Action, Block, Offset, Outcome, SceneSpec, Unparseable

PARSE_FAILURE = -5.0
ILLEGAL = -5.0
BESIDE = 5.0
ON_TOP = 10.0
CORRECT, WRONG = 1.0, 0.0
FARTHEST = 10.0
"""Distance at which the reward stops falling, in block widths: answers outside the scene."""


def parts(scene: SceneSpec, attempts: Sequence[ScoredAttempt]) -> dict[str, float]:
    """Return the study's reward of the last attempt, and the bonus for early success."""
    last = attempts[-1]
    allowed = TASKS[scene.task].attempts
    return {
        "paper": paper(scene, last.action, last.outcome),
        "early": early(last.outcome.success, len(attempts), allowed),
    }


def paper(scene: SceneSpec, action: Action, outcome: Outcome) -> float:
    """Return the study's reward of an action.

    No or illegal answer -5; beside the tower 5 - d; over the block that carries it 10 - d, where d
    is the distance to the ideal place in block widths. Verdicts: right 1, wrong 0.
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
    """Return the block to move and the one that it belongs on, which precedes it in the scene."""
    index = next(index for index, block in enumerate(scene.blocks) if block.color == RED)
    return scene.blocks[index], scene.blocks[index - 1]
