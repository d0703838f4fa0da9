"""Reward of the authors' first script, for one block that is placed on a tower.

Source: `correctness_reward_func` in `scripts/grpo.py` of the GitHub repository
kozzy97/vlm-interactive-intphys at commit 4ecaa74df0097e96603e9c80c42a6fe52233bada (2025-07-31). The
final paper may differ (`physrl.rewards.paper`). The data of the script are not in the repository:
its `y_offset` is read as the rise after which the red block touches the top one, since its script
for SFT answers with it, and its `scale` as the edge of the top block. This package's own parser
reads the completions.
"""

import math
from collections.abc import Sequence

from physrl.rewards.attempt import ScoredAttempt
from physrl.tasks.answers import UNITS
from physrl.types import Action, Offset, SceneSpec, Unparseable

NO_ANSWER = -5.0
INSIDE = -5.0
BESIDE = 5.0
ON_TOP = 10.0


def parts(scene: SceneSpec, attempts: Sequence[ScoredAttempt]) -> dict[str, float]:
    """Return the script's reward of the last attempt."""
    return {"authors": authors(scene, attempts[-1].action)}


def authors(scene: SceneSpec, action: Action) -> float:
    """Return the script's reward of an answer, which only its place determines.

    With d the distance from the place on the middle of the top block: 10 - d if the block's center
    is over that block, less than half its edge aside, and strictly higher than where they touch;
    -5 if it is over that block and not higher; 5 - d if it is aside, below the ground as well. The
    exact height therefore earns -5. Nothing is rewarded where the block need not rise (`place_x`)
    or does not begin beside a tower.
    """
    if isinstance(action, Unparseable):
        return NO_ANSWER
    if not isinstance(action, Offset) or not scene.movable:
        return 0.0
    red, top = scene.blocks[-1], scene.tower[-1]
    rise = top.y + (top.size + red.size) / 2 - red.y
    if round(rise * UNITS) <= 0:
        return 0.0
    aside = red.x + action.x - top.x
    distance = math.hypot(aside, action.y - rise)
    if abs(aside) >= top.size / 2:
        return BESIDE - distance
    return ON_TOP - distance if action.y > rise else INSIDE
