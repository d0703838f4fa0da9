"""Adaptation gain: how much faster trained models adapt to other tasks than their base."""

import numpy as np

from physrl.evaluation.adaptation import scene_areas
from physrl.evaluation.families import Family, family_of
from physrl.evaluation.resampling import Estimate, estimate, mean_success, pair_means, resample
from physrl.evaluation.statistics import Floats
from physrl.evaluation.study_results import StudyResults


def adaptation_gain(results: StudyResults) -> Estimate | None:
    """Estimate the area under the adaptation curves of trained families minus the base's.

    A scene's area is a weighted sum of its successes, so that areas are resampled like successes.
    None if no trained family and its base adapted to a common task.
    """
    areas: dict[tuple[Family, str], list[Floats]] = {}
    for spec in results.plan.adaptations:
        curve, family = results.adaptations.get(spec.key), family_of(spec.subject)
        if curve is not None and family in results.main_families:
            areas.setdefault((family, spec.task), []).append(scene_areas(curve))
    table = _pad_seeds(areas)
    pairs = [
        ((base, task), (family, task))
        for family, task in table
        if family.kind == "trained"
        and (base := results.generalization.base_of(family)) is not None
        and (base, task) in table
    ]
    if not pairs:
        return None
    resampled = resample(table)
    values = [mean_success(table[after]) - mean_success(table[before]) for before, after in pairs]
    differences = [resampled[after] - resampled[before] for before, after in pairs]
    return estimate(float(np.mean(values)), np.mean(differences, axis=0))


def _pad_seeds(
    areas: dict[tuple[Family, str], list[Floats]],
) -> dict[tuple[Family, str], Floats]:
    """Stack seeds x pairs of scenes; seeds that a task lacks are NaN."""
    seeds: dict[Family, int] = {}
    for (family, _), rows in areas.items():
        seeds[family] = max(seeds.get(family, 0), len(rows))
    return {
        (family, task): pair_means(
            np.stack([*rows, *[np.full_like(rows[0], np.nan)] * (seeds[family] - len(rows))])
        )
        for (family, task), rows in areas.items()
    }
