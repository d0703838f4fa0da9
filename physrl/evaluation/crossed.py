"""Means over two crossed samples, training seeds and test scenes, with small-sample intervals.

Every seed's model answers the same scenes. A mean over both varies with the seeds that were drawn
and with the scenes; the estimated variance of seed means and that of scene means both contain the
residual, which is subtracted once (two-way clustering: Cameron, Gelbach and Miller 2011). A handful
of seeds and hundreds of scenes have very different degrees of freedom: each component has Student's
quantile of its own, and half-widths add in quadrature (Graybill and Wang 1980). That holds the mean
over new seeds and scenes where a bootstrap of the same samples is too narrow.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from physrl.evaluation.contrast import FEWEST_SEEDS, Contrast
from physrl.evaluation.statistics import Floats

FEWEST_DIFFERENT = 6
"""Units that must differ for a normal approximation; below, the exact bound of none differing."""


@dataclass(frozen=True, slots=True)
class Term:
    """A sample in a weighted sum of means.

    Terms that share their seeds (`seeds`) or units (`units`) are paired.
    """

    values: Floats
    """Seeds x units, between 0 and 1; missing seeds are NaN."""
    units: Hashable
    """Name of the scenes."""
    seeds: Hashable | None = None
    """Name of the seeds; None for a single model or rule that stands for itself alone."""
    weight: float = 1.0
    scenes: int | None = None
    """Number of scenes of outcomes 0 and 1; None for other values, such as scores of folds."""


def combine(terms: Sequence[Term]) -> Contrast | None:
    """Estimate a weighted sum of the means of terms; None if a term has no seed.

    Seeds that one of the terms lacks are left out of all that share them.
    """
    present = _present_seeds(terms)
    if not all(rows.any() for rows in present.values()):
        return None
    blocks: dict[tuple[Hashable, Hashable], Floats] = {}
    for term in terms:
        values = term.weight * term.values[present[term.seeds, len(term.values)]]
        key = (term.seeds, term.units)
        blocks[key] = blocks[key] + values if key in blocks else values
    unit_scores: dict[Hashable, Floats] = {}
    seed_scores: dict[Hashable, Floats] = {}
    residuals: dict[Hashable, float] = {}
    for (seeds, units), block in blocks.items():
        over_seeds, over_units = block.mean(axis=0), block.mean(axis=1)
        unit_scores[units] = unit_scores.get(units, 0.0) + over_seeds
        if seeds is not None:
            seed_scores[seeds] = seed_scores.get(seeds, 0.0) + over_units
            found = _residual_variance(block, over_seeds, over_units)
            residuals[seeds] = residuals.get(seeds, 0.0) + found
    sizes = [len(scores) for scores in seed_scores.values()]
    unit_variance, unit_df = _variance_of_means(list(unit_scores.values()))
    seed_variance, seed_df = 0.0, 1.0
    if sizes and min(sizes) >= FEWEST_SEEDS:
        _, seed_df = _variance_of_means(list(seed_scores.values()))
        seed_variance = _seed_variance(seed_scores, residuals)
    return Contrast(
        value=float(sum(scores.mean() for scores in unit_scores.values())),
        unit_variance=unit_variance,
        unit_df=unit_df,
        seed_variance=seed_variance,
        seed_df=seed_df,
        residual_variance=sum(residuals.values()),
        seeds=min(sizes, default=None),
        scenes=min((term.scenes for term in terms if term.scenes is not None), default=0),
        bounds=_exact_bounds(terms, present, unit_scores),
    )


def pair_means(values: Floats) -> Floats:
    """Average seeds x scenes to seeds x pairs of twins, which are independent of each other.

    An odd number of scenes has no pairs and is returned unchanged.
    """
    seeds, scenes = values.shape
    if scenes % 2:
        return values
    pairs: Floats = values.reshape(seeds, scenes // 2, 2).mean(axis=2)
    return pairs


def _present_seeds(terms: Sequence[Term]) -> dict[tuple[Hashable, int], Floats]:
    """Find the seeds that all terms of the same seeds have."""
    present: dict[tuple[Hashable, int], Floats] = {}
    for term in terms:
        key = (term.seeds, len(term.values))
        rows = ~np.isnan(term.values[:, 0])
        present[key] = present[key] & rows if key in present else rows
    return present


def _variance_of_means(samples: Sequence[Floats]) -> tuple[float, float]:
    """Estimate the variance of a sum of means, with Satterthwaite's degrees of freedom."""
    sizes = [len(sample) for sample in samples]
    if min(sizes) < 2:
        return 0.0, 1.0
    variances = [float(np.var(sample, ddof=1)) / len(sample) for sample in samples]
    total = float(sum(variances))
    if total == 0:
        return 0.0, float(min(sizes) - 1)
    spread = sum(v * v / (size - 1) for v, size in zip(variances, sizes, strict=True))
    return total, total * total / spread


def _seed_variance(scores: Mapping[Hashable, Floats], residuals: Mapping[Hashable, float]) -> float:
    """Estimate the variance due to seeds, beyond the residual that seed means contain.

    An estimate below 0 counts for a fifth, so that the result may be below 0. Were it to count as
    0, intervals would hold the truth too often where seeds do not differ (97.3 %); in full, too
    rarely where they differ a little (92.1 %).
    """
    excess = [
        float(np.var(sample, ddof=1)) / len(sample) - residuals[seeds]
        for seeds, sample in scores.items()
    ]
    return sum(variance if variance > 0 else variance / 5 for variance in excess)


def _residual_variance(block: Floats, over_seeds: Floats, over_units: Floats) -> float:
    """Estimate what the interaction of seeds and units adds to the variance of a block's mean."""
    seeds, units = block.shape
    if seeds < 2 or units < 2:
        return 0.0
    squares = float(np.square(block).sum())
    squares -= units * float(np.square(over_units).sum())
    squares -= seeds * float(np.square(over_seeds).sum())
    squares += seeds * units * float(over_units.mean()) ** 2
    mean_square = max(0.0, squares) / ((seeds - 1) * (units - 1))
    return float(mean_square / (seeds * units))


def _exact_bounds(
    terms: Sequence[Term],
    present: dict[tuple[Hashable, int], Floats],
    unit_scores: dict[Hashable, Floats],
) -> tuple[tuple[float, int], ...]:
    """List the weights and sizes of samples whose variance is 0 although their rate may not be.

    These are samples in which all succeed or none does, and units of which hardly any differ.
    """
    bounds = []
    for units, scores in unit_scores.items():
        members = [term for term in terms if term.units == units and term.scenes is not None]
        if np.count_nonzero(scores) < FEWEST_DIFFERENT and len(members) > 1:
            bounds.append((max(abs(term.weight) for term in members), len(scores)))
            continue
        for term in members:
            values = term.values[present[term.seeds, len(term.values)]]
            if values.min() == values.max() and values.min() in (0.0, 1.0):
                bounds.append((abs(term.weight), len(scores)))
    return tuple(bounds)
