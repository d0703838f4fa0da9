"""Records from which rewards are computed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from physrl.types import Action, Motion, Outcome, Question, SceneSpec, Unparseable


class ScoredAttempt(Protocol):
    """An action, its outcome and the motion that was predicted; the completion's text is left out.

    Rewards see the text through the parsed action and prediction alone.
    """

    @property
    def action(self) -> Action: ...

    @property
    def outcome(self) -> Outcome: ...

    @property
    def predicted(self) -> Motion | Unparseable | None: ...


@dataclass(frozen=True, slots=True)
class Move:
    """An attempt of a policy without language."""

    action: Action
    outcome: Outcome
    predicted: None = None


Parts = Callable[[SceneSpec | Question, Sequence[ScoredAttempt]], dict[str, float]]
"""A reward: from a scene, or a question, and all attempts at it to unweighted parts by name, each
finite and bounded. The reward's table has a weight for each of them."""
