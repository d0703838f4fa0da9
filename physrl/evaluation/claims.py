"""Claims: each with its design, this study's estimates and a verdict.

A claim is designed before results are seen: its estimand, what must hold before it can be tested,
the references that an effect must exceed, the smallest effect that matters, and whether it is about
every case or about some. The unit is the training seed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from physrl.evaluation.adaptation_gain import ADAPTATION_EFFECT, adaptation_cases
from physrl.evaluation.decodability import PROBE_EFFECT, decodability_cases
from physrl.evaluation.evidence import SMALLEST_EFFECT, Evidence
from physrl.evaluation.method_cases import (
    interaction_cases,
    joint_cases,
    left_out_cases,
    method_cases,
)
from physrl.evaluation.study_results import StudyResults
from physrl.evaluation.transfer_cases import (
    forgetting_cases,
    photograph_cases,
    rule_cases,
    trained_cases,
    transfer_cases,
)
from physrl.evaluation.variant_cases import VariantCases, compared_variants
from physrl.evaluation.verdicts import (
    Case,
    Criterion,
    JudgedCase,
    Judgement,
    Quantifier,
    Verdict,
    judge,
)


@dataclass(frozen=True, slots=True)
class ClaimDesign:
    """What a claim says, of which quantity, and of which cases."""

    name: str
    """Short name for programs."""
    statement: str
    estimand: str
    """Description of the effect of a case."""
    criterion: Criterion
    quantifier: Quantifier
    cases: Callable[[Evidence], Sequence[Case]]
    smallest_effect: float = SMALLEST_EFFECT
    items: str = "scenes"
    """Name of the items that answers are about."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim and this study's verdict on it."""

    name: str
    statement: str
    estimand: str
    verdict: Verdict
    smallest_effect: float
    cases: tuple[JudgedCase, ...]
    remark: str
    """The cases that decide, the reason why it is not testable, or what would decide it."""


OTHER = "success rate on another task above the best reference"
DESIGNS = (
    ClaimDesign(
        "trained_task", "Training improves the trained task",
        "success rate on the trained task above the best reference",
        "increase", "every", trained_cases,
    ),
    ClaimDesign(
        "beyond_rules", "Trained models exceed rules that are not physics",
        "success rate on the trained task above the best rule without physics",
        "increase", "every", rule_cases,
    ),
    ClaimDesign(
        "other_tasks", "Nothing transfers to other tasks", OTHER,
        "no increase", "every", transfer_cases,
    ),
    ClaimDesign(
        "transfer", "Something transfers to another task", OTHER,
        "increase", "some", transfer_cases,
    ),
    ClaimDesign(
        "forgetting", "Training harms another task",
        "success rate on another task minus the base's",
        "decrease", "some", forgetting_cases,
    ),
    ClaimDesign(
        "equal_methods", "RL and SFT transfer equally",
        "success rate on another task, RL minus SFT",
        "no difference", "every", method_cases,
    ),
    ClaimDesign(
        "interaction", "Acting matters: RL exceeds yoked and random rewards",
        "success rate on the trained task above the better of both controls",
        "increase", "every", interaction_cases,
    ),
    ClaimDesign(
        "adaptation", "Trained models adapt faster to other tasks",
        "area under the adaptation curve above the best of base and shuffled SFT",
        "increase", "every", adaptation_cases, ADAPTATION_EFFECT,
    ),
    ClaimDesign(
        "decodability", "Stability is decodable but not used in answers",
        "probe accuracy above the best of answers and the probes' controls, not trained on it",
        "increase", "every", decodability_cases, PROBE_EFFECT,
    ),
    ClaimDesign(
        "photographs", "Nothing transfers to photographs",
        "success rate on photographs above the best reference, trained on stability",
        "no increase", "every", photograph_cases, items="photographs",
    ),
    ClaimDesign(
        "joint_training", "Joint training loses nothing on its tasks",
        "success rate on each of its tasks, joint minus single-task training",
        "no decrease", "every", joint_cases,
    ),
    ClaimDesign(
        "left_out_task", "Training on several tasks transfers to the task that is left out",
        "success rate on a task left out above the best reference and single-task training",
        "increase", "some", left_out_cases,
    ),
)  # fmt: skip


def judge_claims(results: StudyResults) -> tuple[Claim, ...]:
    """Judge all claims: those of the paper and its readers, then each variant's."""
    evidence = Evidence(results)
    designs = [*DESIGNS, *(_variant_design(each) for each in compared_variants(evidence))]
    return tuple(_judge_claim(design, evidence) for design in designs)


def _judge_claim(design: ClaimDesign, evidence: Evidence) -> Claim:
    cases = design.cases(evidence)
    found = judge(cases, design.criterion, design.quantifier, design.smallest_effect)
    return Claim(
        name=design.name,
        statement=design.statement,
        estimand=design.estimand,
        verdict=found.verdict,
        smallest_effect=design.smallest_effect,
        cases=found.cases,
        remark=_remark(found, design.items),
    )


def _variant_design(variant: VariantCases) -> ClaimDesign:
    on_trained = variant.on == "trained"
    task = "the trained task" if on_trained else "another task"
    return ClaimDesign(
        f"{variant.name}_on_{variant.on}",
        f"{variant.name} ({variant.changes}) changes success on {task}",
        f"success rate on {task}, {variant.name} minus default",
        "difference",
        "some",
        variant.cases,
    )


def _remark(found: Judgement, items: str) -> str:
    holds, fails = found.with_finding("holds"), found.with_finding("fails")
    if not found.cases:
        return "the study has no such trials or measurements"
    match found.verdict:
        case "supported" if fails or found.with_finding("undecided"):
            return f"holds for {_names(holds)}"
        case "mixed":
            return f"holds for {_names(holds)}; fails for {_names(fails)}"
        case "not testable":
            return _reasons(found.with_finding("not testable"))
        case "too little data":
            return _would_decide(found.with_finding("undecided"), items)
    untested = found.with_finding("not testable")
    return f"of {len(found.cases)} cases {len(untested)} were not testable" if untested else ""


def _would_decide(cases: Sequence[JudgedCase], items: str) -> str:
    """Say what the undecided cases need: the most that any of them needs."""
    parts = [_reasons(cases)] if any(case.reason for case in cases) else []
    needs = [case.need for case in cases if not case.reason or case.need.seeds]
    seeds, scenes = [need.seeds for need in needs], [need.scenes for need in needs]
    enough = [
        f"{max(known)} {name}"
        for counts, name in ((seeds, "seeds"), (scenes, items))
        if (known := [count for count in counts if count is not None]) and len(known) == len(counts)
    ]
    if enough:
        parts.append(f"{' or '.join(enough)} would decide")
    elif needs:
        parts.append(f"more seeds and more {items} together would decide, or a clearer effect")
    return "; ".join(parts)


def _reasons(cases: Sequence[JudgedCase]) -> str:
    return "; ".join(dict.fromkeys(case.reason for case in cases if case.reason))


def _names(cases: Sequence[JudgedCase]) -> str:
    return ", ".join(case.name for case in cases)
