"""Reward of the final paper as this project understands it: of the answer's place alone.

Schulze Buschoff et al. 2026 (arXiv 2602.06033) train by a reward of this form on the tasks of one
answer or two; no code of the final paper is published. Its first script for `place` is
`physrl.rewards.authors`.
"""

from collections.abc import Sequence

from physrl.rewards.attempt import ScoredAttempt
from physrl.rewards.early import early
from physrl.tasks import TASKS
from physrl.tasks.placing import carrying_block
from physrl.types import Action, Offset, Outcome, SceneSpec, Unparseable

NO_ANSWER = -5.0
ILLEGAL = -5.0
BESIDE = 5.0
ON_TOP = 10.0
CORRECT, WRONG = 1.0, 0.0
FARTHEST = 10.0
"""Distance at which the reward stops falling, in block widths: answers outside the scene."""


def parts(scene: SceneSpec, attempts: Sequence[ScoredAttempt]) -> dict[str, float]:
    """Return the paper's reward of the last attempt, and the bonus for early success."""
    last = attempts[-1]
    allowed = TASKS[scene.task].attempts
    return {
        "paper": paper(scene, last.action, last.outcome),
        "early": early(last.outcome.success, len(attempts), allowed),
    }


def paper(scene: SceneSpec, action: Action, outcome: Outcome) -> float:
    """Return the paper's reward of an action.

    No or illegal answer -5; where the block belongs 10 - d, elsewhere 5 - d, where d is the
    distance to the ideal place in block widths. A block that begins beside a tower belongs above
    its top block, less than half that block's edge aside, however far it may drop; any other
    belongs where its task succeeds. Verdicts: right 1, wrong 0.
    """
    if isinstance(action, Unparseable):
        return NO_ANSWER
    if not isinstance(action, Offset):
        return CORRECT if outcome.success else WRONG
    if outcome.status == "illegal":
        return ILLEGAL
    assert outcome.distance is not None  # every offset task has an ideal
    belongs = outcome.success or _is_above(scene, action)
    return (ON_TOP if belongs else BESIDE) - min(outcome.distance, FARTHEST)


def _is_above(scene: SceneSpec, action: Offset) -> bool:
    """Return whether a block that begins beside a tower is moved above it."""
    if not scene.movable:
        return False
    red, top = scene.blocks[-1], carrying_block(scene.tower)
    half = top.size * top.stretch[0] / 2
    return abs(red.x + action.x - top.x) < half and red.y + action.y > top.y
