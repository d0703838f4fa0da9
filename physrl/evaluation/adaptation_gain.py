"""Cases of the claim that trained models adapt faster to other tasks than their references do."""

import numpy as np

from physrl.evaluation.adaptation import AdaptationCurve, scene_areas
from physrl.evaluation.crossed import Term, combine, pair_means
from physrl.evaluation.evidence import TRAINED_FROM, Evidence
from physrl.evaluation.families import Family, family_of
from physrl.evaluation.trials import DEFAULT_VARIANT
from physrl.evaluation.verdicts import Case

ADAPTATION_EFFECT = 0.05
"""Smallest difference between areas under adaptation curves that matters."""
Curves = dict[tuple[Family, str], list[AdaptationCurve | None]]


def adaptation_cases(evidence: Evidence) -> list[Case]:
    """Make a case of each main family and other task, against its base and shuffled SFT.

    It presupposes that the trained task was learned. A base's runs of adaptation are a sample too:
    with one there is no telling how much they vary.
    """
    curves = _adaptation_curves(evidence)
    cases = []
    for (family, task), rows in curves.items():
        if family not in evidence.main_families:
            continue
        term = area_term(family, task, rows)
        contrasts = []
        for name, reference in _references(evidence, family, task, curves):
            other = area_term(reference, task, curves[reference, task], weight=-1.0)
            contrast = None if term is None or other is None else combine([term, other])
            if contrast is not None:
                contrasts.append((name, contrast))
        complete = contrasts and contrasts[0][0] == "base"
        name = f"{family.name} to {task}"
        cases.append(Case(name, tuple(contrasts) if complete else (), evidence.learned(family)))
    return cases


def area_term(
    family: Family, task: str, curves: list[AdaptationCurve | None], weight: float = 1.0
) -> Term | None:
    """Make a term of areas under curves, one row a run; None if no run is complete.

    A scene's area is a weighted sum of its successes, so that areas are averaged like successes.
    """
    areas = [None if curve is None else scene_areas(curve) for curve in curves]
    sizes = {len(area) for area in areas if area is not None}
    if not sizes:
        return None
    (size,) = sizes
    rows = np.stack([np.full(size, np.nan) if area is None else area for area in areas])
    return Term(pair_means(rows), ("adaptation", task), ("adaptation", family), weight, size)


def _adaptation_curves(evidence: Evidence) -> Curves:
    curves: Curves = {}
    for spec in evidence.results.plan.adaptations:
        curve = evidence.results.adaptations.get(spec.key)
        curves.setdefault((family_of(spec.subject), spec.task), []).append(curve)
    return curves


def _references(
    evidence: Evidence, family: Family, task: str, curves: Curves
) -> list[tuple[str, Family]]:
    base = evidence.generalization.base_of(family)
    controls = [
        (method, evidence.find(family, method=method, variant=DEFAULT_VARIANT))
        for method in TRAINED_FROM
    ]
    named = [("base", base), *controls]
    return [
        (name, reference)
        for name, reference in named
        if reference is not None and (reference, task) in curves
    ]
