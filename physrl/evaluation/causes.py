"""Causes of answers: what happens to them if a layer's state is exchanged or steered.

Two scenes of a pair are twins with different ideal answers. The *gap* is the difference of their
log-odds between these two answers, of the first tokens in which they differ. An exchange gives a
scene the state of its twin, and its effect is the share of the gap by which the answer follows; the
control is the state of a scene of another pair whose ideal answer lies on the same side. Steering
moves the state along a probe's direction by its standard deviation both ways; the control is as far
in random directions at right angles.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physrl.evaluation.pair_ridge import fit_pair_ridge
from physrl.evaluation.probe_results import CauseScore, Measure, Role
from physrl.models.interventions import (
    Choice,
    Replacement,
    States,
    deciding_states,
    log_odds,
)
from physrl.tasks import TASKS
from physrl.types import Offset, Prompt, SceneSpec, Verdict

RANDOM_DIRECTIONS = 4
Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Replaced = Callable[[States], Floats]
"""Log-odds of the tested scenes with other states."""
Effects = dict[tuple[Measure, Role], tuple[Floats, Floats]]
"""How far the answers to the tested scenes moved, and their gaps."""


@dataclass(frozen=True, slots=True)
class Twins:
    """Scenes in pairs with different ideal answers; rows 2k and 2k + 1 are twins.

    The first answer of a choice is the ideal one of scene 2k, the second that of scene 2k + 1.
    """

    choices: tuple[Choice, ...]
    values: Floats
    """What each scene's ideal answer says: 1 for *Yes* and 0 for *No*, or its first number."""

    @property
    def twin(self) -> Indices:
        """Row of each scene's twin."""
        return np.arange(len(self.choices)) ^ 1

    @property
    def above(self) -> NDArray[np.bool_]:
        """True for the twin with the larger value."""
        return self.values > self.values[self.twin]

    @property
    def donor(self) -> Indices:
        """Row of the next scene of another pair that lies on the same side of its twin."""
        donors = np.zeros(len(self.choices), np.int64)
        for side in (False, True):
            rows = np.flatnonzero(self.above == side)
            donors[rows] = np.roll(rows, -1)
        return donors

    @property
    def turns(self) -> Floats:
        """1 where larger values make the first answer likelier, else -1."""
        return np.repeat(np.where(self.above[::2], 1.0, -1.0), 2)

    def take(self, pairs: slice) -> "Twins":
        """Select pairs."""
        rows = slice(*(None if n is None else 2 * n for n in (pairs.start, pairs.stop)))
        return Twins(self.choices[rows], self.values[rows])


def find_twins(scenes: Sequence[SceneSpec], prompts: Sequence[Prompt], collator: Any) -> Twins:
    """Make the choices of scenes in pairs; pairs of the same value are left out."""
    choices: list[Choice] = []
    values: list[float] = []
    for place in range(0, len(scenes), 2):
        first, second = scenes[place : place + 2]
        said = [_value(scene) for scene in (first, second)]
        if said[0] == said[1]:
            continue
        answers = [collator.completion_ids(TASKS[s.task].target(s)) for s in (first, second)]
        values += said
        choices += [Choice(prompt, *answers) for prompt in prompts[place : place + 2]]
    return Twins(tuple(choices), np.array(values))


def find_causes(
    twins: Twins, intervened: int, model: Any, collator: Any, seed: int
) -> tuple[CauseScore, ...]:
    """Exchange and steer the states of every language layer.

    Args:
        intervened: number of pairs to intervene on, the first, but at most half of them; directions
            are fitted to the others.
    """
    intervened = min(intervened, len(twins.choices) // 4)
    if not intervened:
        return ()
    tested, fitted = twins.take(slice(None, intervened)), twins.take(slice(intervened, None))
    states = deciding_states(model, collator, tested.choices)
    others = deciding_states(model, collator, fitted.choices)
    odds = log_odds(model, collator, tested.choices)
    scores: list[CauseScore] = []
    for depth, (layer, own) in enumerate(states.items()):
        rng = np.random.default_rng([seed, depth])
        step, random = _directions(others[layer], fitted.values, rng)

        def replaced(values: States, layer: str = layer) -> Floats:
            return log_odds(model, collator, tested.choices, Replacement(layer, values))

        effects = _exchange(tested, own, odds, replaced)
        effects |= _steer(tested, own, odds, replaced, step, random)
        scores += [
            CauseScore(measure, role, layer, depth, _by_pair(moved), _by_pair(gaps))
            for (measure, role), (moved, gaps) in effects.items()
        ]
    return tuple(scores)


def _exchange(tested: Twins, own: States, odds: Floats, replaced: Replaced) -> Effects:
    """Give each scene the state of its twin, and as a control that of a scene on its side."""
    sources: dict[Role, Indices] = {"effect": tested.twin, "control": tested.donor}
    effects: Effects = {}
    for role, source in sources.items():
        exchanged = replaced(own[source])
        effects["exchange", role] = _followed(odds, exchanged, tested.twin)
        effects["flips", role] = _flipped(odds, exchanged, tested.twin)
    return effects


def _steer(
    tested: Twins,
    own: States,
    odds: Floats,
    replaced: Replaced,
    step: States,
    random: Sequence[States],
) -> Effects:
    """Move the states along the probe's direction both ways, and as a control in random ones."""
    gaps = np.abs(odds[tested.twin] - odds)
    along, *others = (
        tested.turns * (replaced(own + each) - replaced(own - each)) for each in (step, *random)
    )
    return {
        ("steering", "effect"): (along, gaps),
        ("steering", "control"): (_stronger_sides(others), gaps),
    }


def _followed(before: Floats, after: Floats, twin: Indices) -> tuple[Floats, Floats]:
    """Compute how far log-odds follow the twin's, times the gap, and the squared gap."""
    gap = before[twin] - before
    return gap * (after - before), gap * gap


def _flipped(before: Floats, after: Floats, twin: Indices) -> tuple[Floats, Floats]:
    """Find the answers that become the twin's, among those that differ from it."""
    differs = (before > 0) != (before[twin] > 0)
    follows = differs & ((after > 0) == (before[twin] > 0))
    return follows.astype(float), differs.astype(float)


def _directions(
    states: States, values: Floats, rng: np.random.Generator
) -> tuple[States, list[States]]:
    """Fit the probe's direction, a standard deviation long, and draw random ones of its length.

    Random directions are combinations of the scenes' states, so that they vary as those do, without
    what they have of the probe's direction.
    """
    centered = states - states.mean(axis=0)
    scale = np.maximum(states.std(axis=0), 1e-6)
    weights = fit_pair_ridge(centered / scale, values[:, None]).weights[:, 0] / scale
    unit = weights / max(float(np.linalg.norm(weights)), 1e-12)
    length = float((centered @ unit).std())
    drawn = rng.normal(size=(RANDOM_DIRECTIONS, len(states))) @ centered
    drawn -= np.outer(drawn @ unit, unit)
    drawn *= length / np.maximum(np.linalg.norm(drawn, axis=1, keepdims=True), 1e-12)
    return (length * unit).astype(np.float32), [each.astype(np.float32) for each in drawn]


def _stronger_sides(shifts: Sequence[Floats]) -> Floats:
    """Average the shifts of random directions, each turned to the side of its own mean.

    Their mean is above 0 by chance alone, which makes the control harder to exceed.
    """
    turned = [each * (1.0 if each.mean() >= 0 else -1.0) for each in shifts]
    mean: Floats = np.mean(turned, axis=0)
    return mean


def _by_pair(values: Floats) -> tuple[float, ...]:
    return tuple(values.reshape(-1, 2).sum(axis=1).tolist())


def _value(scene: SceneSpec) -> float:
    task = TASKS[scene.task]
    ideal = task.ideal(scene)
    match ideal:
        case Verdict(falls):
            return float(falls)
        case Offset():
            return float(getattr(ideal, task.axes[0]))
        case _:
            raise ValueError(f"{ideal} is no ideal answer")
