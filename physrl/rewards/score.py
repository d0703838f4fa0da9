"""The configured reward: a weighted sum of what the last attempt did and how many it took."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from physrl.config.auxiliary import OutcomeConfig
from physrl.config.reward import RewardConfig
from physrl.rewards import simulated
from physrl.rewards.early import early
from physrl.rewards.foretold import foretold
from physrl.rewards.paper import paper
from physrl.tasks import TASKS
from physrl.types import Action, Motion, Outcome, Reward, SceneSpec, Unparseable

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
    """An action, what came of it and what was foretold; other words play no part."""

    @property
    def action(self) -> Action: ...

    @property
    def outcome(self) -> Outcome: ...

    @property
    def foretold(self) -> Motion | Unparseable | None: ...


@dataclass(frozen=True, slots=True)
class Move:
    """An attempt without words."""

    action: Action
    outcome: Outcome
    foretold: None = None


def score(
    scene: SceneSpec,
    attempts: Sequence[Acted],
    config: RewardConfig,
    auxiliary: OutcomeConfig | None = None,
) -> Reward:
    """A finite, bounded reward of a rollout: the weights of its table times the parts they name.

    Where the auxiliary asks for a prediction, its weight is that of the part `outcome`.
    """
    last = attempts[-1]
    parts = {name: part(last.outcome) for name, part in SIMULATED.items()} | {
        "paper": paper(scene, last.action, last.outcome),
        "early": early(last.outcome.success, len(attempts), TASKS[scene.task].attempts),
        "outcome": foretold(last.foretold, last.outcome),
    }
    weights: dict[str, float] = config.model_dump(exclude={"type"})
    if auxiliary is not None and auxiliary.foretells:
        weights["outcome"] = auxiliary.weight
    weighted = {name: weight * parts[name] for name, weight in weights.items()}
    return Reward(sum(weighted.values()), weighted)
