"""Verdicts on simulated studies of known truth; tests/benchmarks/known_truth.py has many more."""

from pathlib import Path

import numpy as np
import pytest

from physrl.evaluation.claims import judge_claims
from tests.support.interval_coverage import Design, tally
from tests.support.simulated_study import plan_simulated, simulate_study
from tests.support.simulated_world import Size, World
from tests.support.true_verdicts import true_verdicts
from tests.support.truth_patterns import PATTERNS

DRAWS = 2
WORKED_OUT = {
    "nothing is learned": {
        "trained_task": "contradicted", "other_tasks": "not testable",
        "transfer": "not testable", "equal_methods": "not testable",
    },
    "gains and losses cancel": {
        "other_tasks": "mixed", "transfer": "supported", "forgetting": "supported",
    },
    "methods differ in opposite directions": {"equal_methods": "mixed"},
    "shuffled answers adapt as fast": {"adaptation": "contradicted"},
    "probes at chance and no verdicts": {"decodability": "not testable"},
    "one task of three is learned": {"trained_task": "mixed"},
    "an unparseable base and models that guess": {
        "other_tasks": "supported", "transfer": "contradicted",
    },
}  # fmt: skip
"""Right verdicts on worlds that were judged wrongly, worked out by hand."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("photographs")


@pytest.mark.parametrize("name", PATTERNS)
def test_no_verdict_is_wrong(name: str, folder: Path) -> None:
    pattern = PATTERNS[name]
    truths = true_verdicts(pattern.world, pattern.size)
    plan = plan_simulated(pattern.size, folder)
    rng = np.random.default_rng(1)
    for _ in range(DRAWS):
        claims = judge_claims(simulate_study(plan, pattern.world, rng))
        verdicts = {claim.name: claim.verdict for claim in claims}
        for claim, truth in truths.items():
            assert verdicts[claim] in (truth.verdict, "too little data"), claim


@pytest.mark.parametrize("name", WORKED_OUT)
def test_true_verdicts_are_those_worked_out_by_hand(name: str) -> None:
    pattern = PATTERNS[name]
    truths = true_verdicts(pattern.world, pattern.size)
    assert {claim: truths[claim].verdict for claim in WORKED_OUT[name]} == WORKED_OUT[name]


def test_too_little_data_says_what_would_decide(folder: Path) -> None:
    plan = plan_simulated(Size(scenes=32), folder)
    claims = judge_claims(simulate_study(plan, World(), np.random.default_rng(0)))
    (claim,) = [claim for claim in claims if claim.name == "other_tasks"]
    assert claim.verdict == "too little data"
    needs = [case.need for case in claim.cases if case.finding == "undecided"]
    assert any(need.scenes is not None and need.scenes > 32 for need in needs)


def test_equal_methods_are_rarely_called_different() -> None:
    design = Design(5, 64, 0.09, (0.5, 0.5), trained=True, twins=2.0)
    # Of 400 draws, 20 expected and 4.4 of deviation.
    assert tally(design, 400, np.random.default_rng(0)).rejected <= 0.08


@pytest.mark.parametrize("seeds", [3, 10])
@pytest.mark.parametrize("trained", [False, True])
def test_intervals_hold_the_mean_over_new_seeds(seeds: int, trained: bool) -> None:
    design = Design(seeds, 64, 0.09, (0.4, 0.5), trained)
    # Of 400 draws, 380 expected and 4.4 of deviation.
    assert 0.915 <= tally(design, 400, np.random.default_rng(0)).coverage <= 0.985
