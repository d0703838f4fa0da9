"""The paper's claims, each with this study's estimate, its 95 % interval and a verdict."""

from dataclasses import dataclass

from physrl.config.run import RunConfig
from physrl.evaluation.adaptation_gain import adaptation_gain
from physrl.evaluation.contrasts import method_contrast, setting_contrast
from physrl.evaluation.decodability import stability_decodability
from physrl.evaluation.resampling import Estimate
from physrl.evaluation.specs import Condition
from physrl.evaluation.study_results import StudyResults
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
    stability, photographs = Condition("stability"), Condition("stability", "real")
    photo_gain = generalization.gain(
        [(family, photographs) for family, trained in results.diagonal if trained == stability]
    )
    methods, faster = method_contrast(results), adaptation_gain(results)
    length = setting_contrast(results, lambda run: run.algorithm.steps, {"algorithm": {"steps"}})
    rank = setting_contrast(results, _lora_rank, {"model": {"lora": {"rank", "alpha"}}})
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
        Claim(
            "equal_methods",
            "RL and SFT transfer equally",
            "success rate on the other tasks, RL minus SFT",
            methods,
            judge_equality(methods),
        ),
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
            "training_length",
            "Longer training hurts other tasks",
            "success rate on the other tasks, most minus fewest steps",
            length,
        ),
        _harm(
            "lora_rank",
            "A higher LoRA rank hurts other tasks",
            "success rate on the other tasks, highest minus lowest rank",
            rank,
        ),
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


def _harm(name: str, statement: str, measure: str, difference: Estimate | None) -> Claim:
    """Judge the claim that a difference is negative."""
    drop = (
        None
        if difference is None
        else Estimate(-difference.value, -difference.high, -difference.low)
    )
    return Claim(name, statement, measure, difference, judge_increase(drop, negligible=0.0))


def _lora_rank(run: RunConfig) -> int | None:
    return None if run.model.lora is None else run.model.lora.rank
