"""Cases of the claim that stability is decodable from activations but not used in answers."""

import numpy as np

from physrl.evaluation.crossed import Term, combine
from physrl.evaluation.evidence import Evidence
from physrl.evaluation.families import Family, family_of, is_main
from physrl.evaluation.generalization import SAMPLED_KINDS
from physrl.evaluation.probe_results import ProbeResult, Source
from physrl.evaluation.probe_summary import best_layer_scores, widen_folds
from physrl.evaluation.specs import Condition
from physrl.evaluation.statistics import Floats
from physrl.evaluation.verdicts import Case

CONTROLS: tuple[Source, ...] = ("pixels", "untrained")
PROBE_EFFECT = 0.05
"""Smallest difference of balanced accuracy that matters."""
STABILITY = Condition("stability")


def decodability_cases(evidence: Evidence) -> list[Case]:
    """Make a case of each base, and each main family that was not trained on stability.

    It presupposes that verdicts can be parsed; probes must exceed answers and their own controls.
    """
    probes: dict[Family, list[ProbeResult | None]] = {}
    for spec in evidence.results.plan.probes:
        family = family_of(spec.subject)
        is_other = spec.task == STABILITY.task and STABILITY.task not in family.trained_on
        if is_other and (family.kind == "base" or is_main(family)):
            result = evidence.results.probes.get(spec.key)
            probes.setdefault(family, []).append(result)
    return [_case(evidence, family, results) for family, results in probes.items()]


def _case(evidence: Evidence, family: Family, results: list[ProbeResult | None]) -> Case:
    cell = (family, STABILITY)
    probed = _term(family, results, "model")
    answers = evidence.generalization.term(cell, -1.0)
    others = [(name, _term(family, results, name, -1.0)) for name in CONTROLS]
    if probed is None or answers is None or any(term is None for _, term in others):
        return Case(family.name, (), evidence.form(cell))
    named = [("answers", answers), *others]
    contrasts = [(name, combine([probed, term])) for name, term in named if term is not None]
    found = tuple((name, contrast) for name, contrast in contrasts if contrast is not None)
    return Case(family.name, found, evidence.form(cell))


def _term(
    family: Family, results: list[ProbeResult | None], source: Source, weight: float = 1.0
) -> Term | None:
    """Make a term of probe scores, seeds x folds; None if no seed was probed."""
    rows: list[Floats | None] = [
        None if result is None else best_layer_scores(result, "stability", source)
        for result in results
    ]
    sizes = {len(row) for row in rows if row is not None}
    if not sizes:
        return None
    (folds,) = sizes
    values = np.stack([np.full(folds, np.nan) if row is None else widen_folds(row) for row in rows])
    seeds = family if family.kind in SAMPLED_KINDS else None
    return Term(values, "folds", seeds, weight)
