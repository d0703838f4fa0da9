"""The paper's claims, held against a study: figure, 95 % interval, verdict.

A difference of less than `NEGLIGIBLE` counts as none. A claim that something rises (or falls) is
supported where the whole interval is above zero, and contradicted where it is below what would
matter; that nothing changes is supported where the interval is within what would not matter.
Anything else is too little data.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from physrl.config.algorithm import SFTConfig
from physrl.config.run import RunConfig
from physrl.evaluation.adaptation import AdaptationCurve
from physrl.evaluation.decoding import best_by_fold, mean_over_folds
from physrl.evaluation.findings import Findings
from physrl.evaluation.generalization import Family, Place, family_of
from physrl.evaluation.probes import Source
from physrl.evaluation.resampling import Estimate, Floats, by_pairs, estimate, mean_of, resample
from physrl.evaluation.specs import Condition, Subject
from physrl.evaluation.trials import SHUFFLED

Verdict = Literal["supported", "contradicted", "too little data"]
STEPS: dict[str, Any] = {"algorithm": {"steps"}}
RANK: dict[str, Any] = {"model": {"lora": {"rank", "alpha"}}}
"""What longer or wider runs differ in from others."""
CONTROLS: tuple[Source, ...] = ("pixels", "untrained")
NEGLIGIBLE = 0.05
"""Of a share of successes."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim, and what this study has to say about it."""

    statement: str
    measure: str
    """What the figure is."""
    figure: Estimate | None
    """None where nothing was measured."""
    verdict: Verdict
    remark: str = ""


def judge_claims(findings: Findings) -> tuple[Claim, ...]:
    """All claims, in the paper's order."""
    found = findings.generalization
    gain, transfer = found.gain(findings.diagonal), found.gain(findings.off_diagonal)
    ratio = found.transfer_ratio(findings.diagonal, findings.off_diagonal)
    photos = found.places(
        lambda family, asked: (
            "stability" in family.trained_on
            and asked == Condition("stability", "real")
            and (family, Condition("stability")) in findings.diagonal
        )
    )
    return (
        Claim(
            "Training improves the trained task",
            "gain over the base on the trained task",
            gain,
            _rises(gain),
        ),
        Claim(
            "Nothing transfers to other tasks",
            "gain over the base on the other tasks",
            transfer,
            _stays_below(transfer),
            "" if ratio is None else f"transfer ratio {_words(ratio)}",
        ),
        _equal_methods(findings),
        _faster_adaptation(findings),
        _decodable_not_used(findings),
        Claim(
            "Nothing transfers to photographs",
            "gain over the base on photographs, trained on stability",
            photo_gain := found.gain(photos),
            _stays_below(photo_gain),
        ),
        _hurts(findings, "Longer training hurts", "steps", lambda run: run.algorithm.steps, STEPS),
        _hurts(findings, "A higher rank hurts", "LoRA rank", _rank, RANK),
    )


def _equal_methods(findings: Findings) -> Claim:
    """Only where both have answered: of the same tasks, model and condition."""
    sides: dict[bool, dict[tuple[object, ...], list[Place]]] = {False: {}, True: {}}
    for family, condition in findings.off_diagonal:
        imitates = isinstance(findings.configs[family].algorithm, SFTConfig)
        alike = (family.model, family.trained_on, condition)
        sides[imitates].setdefault(alike, []).append((family, condition))
    both = [alike for alike in sides[True] if alike in sides[False]]
    supervised, reinforced = (
        [place for alike in both for place in sides[imitates][alike]] for imitates in (True, False)
    )
    difference = findings.generalization.difference(supervised, reinforced)
    return Claim(
        "Reinforcement and SFT transfer alike",
        "share on the other tasks, reinforcement minus SFT",
        difference,
        _is_none(difference),
    )


def _faster_adaptation(findings: Findings) -> Claim:
    """Per scene the area under a curve is a weighted sum of successes: it resamples like them."""
    areas: dict[tuple[Family, str], list[Floats]] = {}
    for spec in findings.plan.adaptations:
        curve = findings.adaptations.get(spec.key)
        if curve is not None and _is_compared(spec.subject, findings):
            areas.setdefault((family_of(spec.subject), spec.task), []).append(_areas(curve))
    table = _rectangular(areas)
    resampled = resample(table)
    pairs = [
        ((base, task), (family, task))
        for family, task in table
        if family.kind == "trained"
        and (base := findings.generalization.base_of(family)) is not None
        and (base, task) in table
    ]
    figure = None
    if pairs:
        values = [mean_of(table[after]) - mean_of(table[before]) for before, after in pairs]
        drawn = [resampled[after] - resampled[before] for before, after in pairs]
        figure = estimate(float(np.mean(values)), np.mean(drawn, axis=0))
    return Claim(
        "Trained models adapt faster to other tasks",
        "area under the adaptation curve, minus the base's",
        figure,
        _rises(figure, matters=0.0),
    )


def _decodable_not_used(findings: Findings) -> Claim:
    """Of the bases and the families that were trained on another task alone."""
    asked = Condition("stability")
    statement = "Stability can be read off models that do not answer by it"
    measure = "read off the best layer, minus answered rightly; not trained on stability"
    reads, controls, places = [], [], []
    for spec in findings.plan.probes:
        result, place = findings.probes.get(spec.key), (family_of(spec.subject), asked)
        if result is None or spec.task != asked.task or asked.task in spec.subject.trained_on:
            continue
        if place not in findings.generalization.successes or not _is_compared(
            spec.subject, findings
        ):
            continue
        read, *others = (best_by_fold(result, "stability", s) for s in ("model", *CONTROLS))
        if read is not None:
            reads.append(read)
            controls.append(np.max([other for other in others if other is not None], axis=0))
            places.append(place)
    answered = findings.generalization.mean(list(dict.fromkeys(places)))
    if answered is None:
        return Claim(statement, measure, None, "too little data")
    gap = _apart(answered, mean_over_folds(np.mean(reads, axis=0)))
    above = mean_over_folds(np.mean(reads, axis=0) - np.mean(controls, axis=0))
    verdict: Verdict = "too little data"
    if gap.low > 0 and above.low > 0:
        verdict = "supported"
    elif gap.high < NEGLIGIBLE or above.high < 0:
        verdict = "contradicted"
    return Claim(statement, measure, gap, verdict, f"above the better control by {_words(above)}")


def _hurts(
    findings: Findings,
    statement: str,
    what: str,
    amount: Callable[[RunConfig], int | None],
    but: dict[str, Any],
) -> Claim:
    """The most of something against the least, on tasks not trained on.

    Args:
        but: the keys in which the runs that are compared may differ; all else is equal.
    """
    most: list[Place] = []
    least: list[Place] = []
    groups: dict[str, dict[int, Family]] = {}
    for family, run in findings.configs.items():
        value = amount(run)
        if value is not None and family.method != SHUFFLED:
            alike = run.model_dump_json(exclude={"name": True, "seed": True} | but)
            groups.setdefault(alike, {})[value] = family
    for members in groups.values():
        if len(members) < 2:
            continue
        low, high = members[min(members)], members[max(members)]
        for condition in findings.matrix.conditions:
            both = all((f, condition) in findings.generalization.successes for f in (low, high))
            is_other = condition.task not in high.trained_on
            if both and is_other and condition == Condition(condition.task):
                most.append((high, condition))
                least.append((low, condition))
    figure = findings.generalization.difference(least, most)
    fallen = None if figure is None else Estimate(-figure.value, -figure.high, -figure.low)
    return Claim(
        f"{statement} other tasks",
        f"share on the other tasks, most minus fewest {what}",
        figure,
        _rises(fallen, matters=0.0),
    )


def _apart(before: Estimate, after: Estimate) -> Estimate:
    """The difference of two figures that were found independently of each other."""
    value = after.value - before.value
    down = math.hypot(after.value - after.low, before.high - before.value)
    up = math.hypot(after.high - after.value, before.value - before.low)
    return Estimate(value, value - down, value + up)


def _rank(run: RunConfig) -> int | None:
    return None if run.model.lora is None else run.model.lora.rank


def _is_compared(subject: Subject, findings: Findings) -> bool:
    """Whether it is a base, or of a family trained on one task."""
    family = family_of(subject)
    return family.kind == "base" or any(family == each for each, _ in findings.diagonal)


def _areas(curve: AdaptationCurve) -> Floats:
    steps = np.array(curve.steps, np.float64)
    areas = np.trapezoid(np.array(curve.successes, np.float64), steps, axis=0)
    return np.asarray(areas, np.float64) / float(steps[-1] - steps[0])


def _rectangular(
    areas: dict[tuple[Family, str], list[Floats]],
) -> dict[tuple[Family, str], Floats]:
    """Families' seeds by pairs of scenes; seeds that are missing under a task are NaN."""
    seeds: dict[Family, int] = {}
    for (family, _), rows in areas.items():
        seeds[family] = max(seeds.get(family, 0), len(rows))
    return {
        (family, task): by_pairs(
            np.stack([*rows, *[np.full_like(rows[0], np.nan)] * (seeds[family] - len(rows))])
        )
        for (family, task), rows in areas.items()
    }


def _rises(figure: Estimate | None, matters: float = NEGLIGIBLE) -> Verdict:
    if figure is None:
        return "too little data"
    if figure.low > 0:
        return "supported"
    return "contradicted" if figure.high < matters else "too little data"


def _stays_below(figure: Estimate | None) -> Verdict:
    if figure is None:
        return "too little data"
    if figure.high < NEGLIGIBLE:
        return "supported"
    is_clear = figure.low > 0 and figure.value > NEGLIGIBLE
    return "contradicted" if is_clear else "too little data"


def _is_none(figure: Estimate | None) -> Verdict:
    if figure is None:
        return "too little data"
    if figure.low > -NEGLIGIBLE and figure.high < NEGLIGIBLE:
        return "supported"
    is_clear = (figure.low > 0 or figure.high < 0) and abs(figure.value) > NEGLIGIBLE
    return "contradicted" if is_clear else "too little data"


def _words(figure: Estimate) -> str:
    return f"{figure.value:+.2f} ({figure.low:+.2f} to {figure.high:+.2f})"
