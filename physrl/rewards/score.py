"""The configured reward: a weighted sum of what the last attempt did and how many it took."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from physrl.config.reward import RewardConfig
from physrl.rewards import simulated
from physrl.rewards.early import early
from physrl.rewards.paper import paper
from physrl.tasks import TASKS
from physrl.types import Action, Outcome, Reward, SceneSpec

SIMULATED = {
    part.__name__: part
    for part in (
        simulated.success,
        simulated.height,
        simulated.moved,
        simulated.distance,
        simulated.illegal,
        simulated.unparseable,
    )
}


class Acted(Protocol):
    """An action and what came of it; what was said plays no part."""

    @property
    def action(self) -> Action: ...

    @property
    def outcome(self) -> Outcome: ...


@dataclass(frozen=True, slots=True)
class Move:
    """An attempt without words."""

    action: Action
    outcome: Outcome


def score(scene: SceneSpec, attempts: Sequence[Acted], config: RewardConfig) -> Reward:
    """A finite, bounded reward of a rollout: the weights of its table times the parts they name."""
    last = attempts[-1]
    parts = {name: part(last.outcome) for name, part in SIMULATED.items()} | {
        "paper": paper(scene, last.action, last.outcome),
        "early": early(last.outcome.success, len(attempts), TASKS[scene.task].attempts),
    }
    weights: dict[str, float] = config.model_dump(exclude={"type"})
    weighted = {name: weight * parts[name] for name, weight in weights.items()}
    return Reward(sum(weighted.values()), weighted)
