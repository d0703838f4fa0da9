"""Verdicts on cases with made-up contrasts."""

import pytest

from physrl.evaluation.contrast import Contrast
from physrl.evaluation.verdicts import Case, Criterion, Gate, Quantifier, judge


def case(value: float, *others: float, error: float = 0.01, gate: Gate | None = None) -> Case:
    """Make a case of an increase over one reference, or the best of several."""
    contrasts = [
        (str(number), Contrast(each, error**2, 1e6, 0.0, 1.0, 0.0, 5, 256))
        for number, each in enumerate((value, *others))
    ]
    return Case("case", tuple(contrasts), gate or Gate())


@pytest.mark.parametrize(
    ("values", "criterion", "quantifier", "verdict"),
    [
        ((0.3, 0.3), "increase", "every", "supported"),
        ((0.3, 0.0), "increase", "every", "mixed"),
        ((0.3, 0.1), "increase", "every", "too little data"),
        ((0.0, -0.3), "increase", "every", "contradicted"),
        ((0.3, 0.1), "increase", "some", "supported"),
        ((0.0, 0.1), "increase", "some", "too little data"),
        ((0.0, -0.3), "increase", "some", "contradicted"),
        ((0.4, 0.4, -0.2, -0.2), "no increase", "every", "mixed"),
        ((0.4, -0.4), "no difference", "every", "contradicted"),
        ((0.0, 0.02), "no difference", "every", "supported"),
        ((0.0, -0.4), "difference", "some", "supported"),
        ((0.0, -0.3), "decrease", "some", "supported"),
        ((0.0, -0.3), "no decrease", "every", "mixed"),
    ],
)
def test_every_case_is_judged_and_none_cancels(
    values: tuple[float, ...], criterion: Criterion, quantifier: Quantifier, verdict: str
) -> None:
    assert judge([case(value) for value in values], criterion, quantifier, 0.1).verdict == verdict


def test_an_increase_is_over_the_best_reference() -> None:
    (judged,) = judge([case(0.5, 0.02)], "increase", "every", 0.1).cases
    assert judged.effect is not None
    assert (judged.finding, judged.reference, judged.effect.value) == ("fails", "1", 0.02)


def test_closed_gates_leave_a_case_out_and_undecided_ones_keep_it_open() -> None:
    closed, unclear = (case(0.5, gate=Gate(state, "why")) for state in ("closed", "undecided"))  # type: ignore[arg-type]
    assert judge([case(0.3), closed], "increase", "every", 0.1).verdict == "supported"
    assert judge([closed], "increase", "every", 0.1).verdict == "not testable"
    assert judge([case(0.3), unclear], "increase", "every", 0.1).verdict == "too little data"
    assert judge([], "increase", "every", 0.1).verdict == "not testable"


def test_a_case_without_results_keeps_a_claim_open() -> None:
    assert judge([case(0.3), Case("x")], "increase", "every", 0.1).verdict == "too little data"


def test_more_cases_widen_every_interval() -> None:
    def width(count: int) -> float:
        effect = judge([case(0.3)] * count, "increase", "every", 0.1).cases[0].effect
        assert effect is not None
        return effect.high - effect.low

    # Normal quantiles of .95 and of .95^(1/10): 1.960 and 2.800.
    assert width(1) == pytest.approx(2 * 1.96 * 0.01, rel=1e-3)
    assert width(10) == pytest.approx(2 * 2.8 * 0.01, rel=1e-3)
