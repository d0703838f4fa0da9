import pytest

from physrl.evaluation.plan import plan_study
from physrl.evaluation.specs import Condition, StudyPlan
from tests.support.small_studies import (
    find_family,
    make_generalization,
    small_study,
    two_task_plan,
)

PLACE, STABILITY = Condition("place"), Condition("stability")
RATES = {
    ("tiny", "place"): 0.1,
    ("tiny", "stability"): 0.5,
    ("tiny-place-grpo", "place"): 0.9,
    ("tiny-place-grpo", "stability"): 0.4,
    ("tiny-stability-grpo", "place"): 0.1,
    ("tiny-stability-grpo", "stability"): 0.9,
    ("tiny-place-sft-seed0", "place"): 0.5,
    ("tiny-place-sft-seed1", "place"): 0.7,
}


@pytest.fixture(scope="module")
def plan() -> StudyPlan:
    return two_task_plan()


def test_success_rates_are_means_over_seeds(plan: StudyPlan) -> None:
    generalization = make_generalization(plan, RATES)
    sft = find_family(generalization, "tiny place sft")
    rate = generalization.success_rate(sft, PLACE)
    assert rate is not None
    assert rate.value == pytest.approx(0.6)
    # Two seeds tell nothing about others: the interval is about other scenes.
    assert rate.over == "scenes"
    assert rate.low < 0.6 < rate.high
    assert generalization.seed_deviation(sft, PLACE) == pytest.approx(0.2 / 2**0.5)
    assert generalization.success_rate(sft, STABILITY) is None


def test_gains_and_ratios_by_hand(plan: StudyPlan) -> None:
    generalization = make_generalization(plan, RATES)
    on_place, on_stability = (
        find_family(generalization, f"tiny {task} grpo") for task in ("place", "stability")
    )
    diagonal = [(on_place, PLACE), (on_stability, STABILITY)]
    off_diagonal = [(on_place, STABILITY), (on_stability, PLACE)]
    gain = generalization.gain(diagonal)
    assert gain is not None
    assert gain.value == pytest.approx((0.8 + 0.4) / 2)
    assert gain.low > 0.3
    ratio = generalization.transfer_ratio(diagonal, off_diagonal)
    assert ratio is not None
    assert ratio.value == pytest.approx((-0.1 + 0.0) / 2 / 0.6)
    assert ratio.low < ratio.value < ratio.high
    # Without a gain in the denominator there is no ratio.
    assert generalization.transfer_ratio(off_diagonal, diagonal) is None
    assert generalization.gain([]) is None


def test_a_missing_seed_is_left_out(plan: StudyPlan) -> None:
    generalization = make_generalization(plan, {("tiny-place-sft-seed0", "place"): 0.5})
    sft = find_family(generalization, "tiny place sft")
    rate = generalization.success_rate(sft, PLACE)
    assert rate is not None
    assert rate.value == 0.5
    assert generalization.gain([(sft, PLACE)]) is None
    assert generalization.seed_deviation(sft, PLACE) is None


def test_gains_over_the_warm_start_are_those_of_training_after_it() -> None:
    overrides = (
        "grid.tasks=[place, stability]",
        "grid.methods={grpo: {}, warm_start: {}}",
        "grid.models={tiny: {}}",
        "base.warm_start={steps: 1}",
        "controls={shuffled_labels: false, blank_images: false}",
    )
    rates = RATES | {("tiny-place-warm_start", "place"): 0.7}
    generalization = make_generalization(plan_study(small_study(*overrides)), rates)
    on_place, on_stability = (
        find_family(generalization, f"tiny {task} grpo") for task in ("place", "stability")
    )
    start = generalization.warm_start_of(on_place)
    assert start == find_family(generalization, "tiny place warm_start")
    over_base = generalization.gain([(on_place, PLACE)])
    over_start = generalization.gain_over_warm_start([(on_place, PLACE)])
    assert over_base is not None
    assert over_start is not None
    assert (over_base.value, over_start.value) == (pytest.approx(0.8), pytest.approx(0.2))
    # The other warm start has no results.
    assert generalization.gain_over_warm_start([(on_stability, STABILITY)]) is None
