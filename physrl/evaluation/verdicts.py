"""Verdicts on claims, from the 95 % interval of an estimate.

A claim that something increases is supported if the whole interval is above zero, and contradicted
if it is below what would matter; a claim that nothing changes is supported if the whole interval is
within what does not matter. Anything else is too little data.
"""

from typing import Literal

from physrl.evaluation.resampling import Estimate

Verdict = Literal["supported", "contradicted", "too little data"]
NEGLIGIBLE = 0.05
"""Difference between success rates below which it counts as none."""


def judge_increase(estimate: Estimate | None, negligible: float = NEGLIGIBLE) -> Verdict:
    """Judge the claim that a quantity increases."""
    if estimate is None:
        return "too little data"
    if estimate.low > 0:
        return "supported"
    return "contradicted" if estimate.high < negligible else "too little data"


def judge_no_increase(estimate: Estimate | None) -> Verdict:
    """Judge the claim that a quantity does not increase."""
    if estimate is None:
        return "too little data"
    if estimate.high < NEGLIGIBLE:
        return "supported"
    is_clear = estimate.low > 0 and estimate.value > NEGLIGIBLE
    return "contradicted" if is_clear else "too little data"


def judge_equality(estimate: Estimate | None) -> Verdict:
    """Judge the claim that a difference is zero."""
    if estimate is None:
        return "too little data"
    if estimate.low > -NEGLIGIBLE and estimate.high < NEGLIGIBLE:
        return "supported"
    is_clear = (estimate.low > 0 or estimate.high < 0) and abs(estimate.value) > NEGLIGIBLE
    return "contradicted" if is_clear else "too little data"
