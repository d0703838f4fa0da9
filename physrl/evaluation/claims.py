"""The paper's claims, each with this study's estimate, its 95 % interval and a verdict."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from physrl.config.algorithm import SFTConfig
from physrl.config.run import RunConfig
from physrl.evaluation.adaptation_gain import adaptation_gain
from physrl.evaluation.decodability import stability_decodability
from physrl.evaluation.families import Family, FamilyCell
from physrl.evaluation.resampling import Estimate
from physrl.evaluation.specs import Condition
from physrl.evaluation.study_results import StudyResults
from physrl.evaluation.trials import SHUFFLED
from physrl.evaluation.verdicts import (
    NEGLIGIBLE,
    Verdict,
    judge_equality,
    judge_increase,
    judge_no_increase,
)


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim of the paper and this study's verdict on it."""

    name: str
    """Short name for programs."""
    statement: str
    measure: str
    """Description of the estimate."""
    estimate: Estimate | None
    """None without measurements."""
    verdict: Verdict
    remark: str = ""


def judge_claims(results: StudyResults) -> tuple[Claim, ...]:
    """Judge all claims, in the paper's order."""
    generalization = results.generalization
    gain = generalization.gain(results.diagonal)
    transfer = generalization.gain(results.off_diagonal)
    ratio = generalization.transfer_ratio(results.diagonal, results.off_diagonal)
    photos = Condition("stability", "real")
    photo_gain = generalization.gain(
        generalization.select(
            lambda family, condition: (
                condition == photos and (family, Condition("stability")) in results.diagonal
            )
        )
    )
    faster = adaptation_gain(results)
    return (
        Claim(
            "trained_task",
            "Training improves the trained task",
            "gain over the base on the trained task",
            gain,
            judge_increase(gain),
        ),
        Claim(
            "other_tasks",
            "Nothing transfers to other tasks",
            "gain over the base on the other tasks",
            transfer,
            judge_no_increase(transfer),
            "" if ratio is None else f"transfer ratio {ratio}",
        ),
        _equal_methods(results),
        Claim(
            "adaptation",
            "Trained models adapt faster to other tasks",
            "area under the adaptation curve minus the base's",
            faster,
            judge_increase(faster, negligible=0.0),
        ),
        _decodable_not_used(results),
        Claim(
            "photographs",
            "Nothing transfers to photographs",
            "gain over the base on photographs after training on stability",
            photo_gain,
            judge_no_increase(photo_gain),
        ),
        _harm(
            results,
            ("training_length", "Longer training hurts other tasks", "most minus fewest steps"),
            lambda run: run.algorithm.steps,
            {"algorithm": {"steps"}},
        ),
        _harm(
            results,
            ("lora_rank", "A higher LoRA rank hurts other tasks", "highest minus lowest rank"),
            lambda run: None if run.model.lora is None else run.model.lora.rank,
            {"model": {"lora": {"rank", "alpha"}}},
        ),
    )


def _equal_methods(results: StudyResults) -> Claim:
    """Compare RL and SFT on the cells of the same trained task, model and condition."""
    cells: dict[bool, dict[tuple[object, ...], list[FamilyCell]]] = {False: {}, True: {}}
    for family, condition in results.off_diagonal:
        is_sft = isinstance(results.configs[family].algorithm, SFTConfig)
        group = (family.model, family.trained_on, condition)
        cells[is_sft].setdefault(group, []).append((family, condition))
    common = [group for group in cells[True] if group in cells[False]]
    sft, rl = ([cell for group in common for cell in cells[key][group]] for key in (True, False))
    difference = results.generalization.difference(sft, rl)
    return Claim(
        "equal_methods",
        "RL and SFT transfer equally",
        "success rate on the other tasks, RL minus SFT",
        difference,
        judge_equality(difference),
    )


def _decodable_not_used(results: StudyResults) -> Claim:
    found = stability_decodability(results)
    verdict: Verdict = "too little data"
    if found is not None and found.over_answers.low > 0 and found.over_controls.low > 0:
        verdict = "supported"
    elif found is not None and (
        found.over_answers.high < NEGLIGIBLE or found.over_controls.high < 0
    ):
        verdict = "contradicted"
    return Claim(
        "decodability",
        "Stability is decodable but not used in answers",
        "probe accuracy at the best layer minus success rate, models not trained on stability",
        None if found is None else found.over_answers,
        verdict,
        "" if found is None else f"above the better control by {found.over_controls}",
    )


def _harm(
    results: StudyResults,
    texts: tuple[str, str, str],
    amount: Callable[[RunConfig], int | None],
    varied: dict[str, Any],
) -> Claim:
    """Compare the largest with the smallest amount of a setting on tasks not trained on.

    Args:
        texts: the claim's name, its statement, and the description of the difference.
        varied: the keys of a run that may differ between compared runs; all others are equal.
    """
    groups: dict[str, dict[int, Family]] = {}
    for family, run in results.configs.items():
        value = amount(run)
        if value is not None and family.method != SHUFFLED:
            group = run.model_dump_json(exclude={"name": True, "seed": True} | varied)
            groups.setdefault(group, {})[value] = family
    least, most = list[FamilyCell](), list[FamilyCell]()
    for members in (members for members in groups.values() if len(members) > 1):
        low, high = members[min(members)], members[max(members)]
        for condition in results.matrix.conditions:
            pair = [(low, condition), (high, condition)]
            is_other = (
                condition == Condition(condition.task) and condition.task not in high.trained_on
            )
            if is_other and all(cell in results.generalization.successes for cell in pair):
                least.append(pair[0])
                most.append(pair[1])
    difference = results.generalization.difference(least, most)
    drop = (
        None
        if difference is None
        else Estimate(-difference.value, -difference.high, -difference.low)
    )
    name, statement, measure = texts
    return Claim(
        name,
        statement,
        f"success rate on the other tasks, {measure}",
        difference,
        judge_increase(drop, negligible=0.0),
    )
