"""Decodability of stability from activations, compared with its use in answers."""

import math
from dataclasses import dataclass

import numpy as np

from physrl.evaluation.families import FamilyCell, family_of
from physrl.evaluation.probe_results import Source
from physrl.evaluation.probe_summary import best_layer_scores, fold_estimate
from physrl.evaluation.resampling import Estimate
from physrl.evaluation.specs import Condition
from physrl.evaluation.statistics import Floats
from physrl.evaluation.study_results import StudyResults

CONTROLS: tuple[Source, ...] = ("pixels", "untrained")


@dataclass(frozen=True, slots=True)
class Decodability:
    """Probe accuracy on stability relative to answers and to the probes' controls."""

    over_answers: Estimate
    """Balanced accuracy of the best layer's probe minus the success rate of answers."""
    over_controls: Estimate
    """Balanced accuracy of that probe minus that of the better control."""


def stability_decodability(results: StudyResults) -> Decodability | None:
    """Estimate the decodability of stability in bases and in families trained on another task.

    None without probes or answers of any such model.
    """
    condition = Condition("stability")
    probed, controls = list[Floats](), list[Floats]()
    cells: dict[FamilyCell, None] = {}
    for spec in results.plan.probes:
        result, family = results.probes.get(spec.key), family_of(spec.subject)
        if (
            result is None
            or spec.task != condition.task
            or condition.task in family.trained_on
            or family not in results.main_families
            or (family, condition) not in results.generalization.successes
        ):
            continue
        scores, *others = (
            best_layer_scores(result, "stability", source) for source in ("model", *CONTROLS)
        )
        if scores is not None:
            probed.append(scores)
            controls.append(np.max([other for other in others if other is not None], axis=0))
            cells[family, condition] = None
    answers = results.generalization.mean(list(cells))
    if answers is None:
        return None
    accuracy = np.mean(probed, axis=0)
    return Decodability(
        over_answers=_subtract(fold_estimate(accuracy), answers),
        over_controls=fold_estimate(accuracy - np.mean(controls, axis=0)),
    )


def _subtract(minuend: Estimate, subtrahend: Estimate) -> Estimate:
    """Subtract two independent estimates; the half-widths of their intervals add in quadrature."""
    value = minuend.value - subtrahend.value
    down = math.hypot(minuend.value - minuend.low, subtrahend.high - subtrahend.value)
    up = math.hypot(minuend.high - minuend.value, subtrahend.value - subtrahend.low)
    return Estimate(value, value - down, value + up)
