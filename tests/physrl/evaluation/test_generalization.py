import pytest

from physrl.config.study import load_study_config
from physrl.evaluation.cells import CellResult
from physrl.evaluation.generalization import Family, Generalization
from physrl.evaluation.matrix import Entry, Matrix
from physrl.evaluation.plan import plan_study
from physrl.evaluation.results import Answered
from physrl.evaluation.specs import Condition, StudyPlan

SCENES = 40
PLACE, STABILITY = Condition("place"), Condition("stability")


@pytest.fixture(scope="module")
def plan() -> StudyPlan:
    return plan_study(
        load_study_config(
            None,
            [
                "grid.tasks=[place, stability]",
                "grid.methods={grpo: {}, sft: {}}",
                "grid.models={tiny: {}}",
                "grid.seeds=[0, 1]",
                "evaluation.tasks=[place, stability]",
                "controls={shuffled_labels: false, blank_images: false}",
            ],
        )
    )


def answers(share: float) -> tuple[Answered, ...]:
    """The first scenes succeed."""
    return tuple(
        Answered(f"s/{n}", "", "", "", n < share * SCENES, "settled", 0, None, None, None, None)
        for n in range(SCENES)
    )


def generalize(plan: StudyPlan, shares: dict[tuple[str, str], float]) -> Generalization:
    """Shares by the subject's name, or what it begins with, and the task."""
    results, entries = {}, {}
    for cell in plan.cells:
        entries[cell.subject.key, cell.condition] = Entry(cell, "missing")
        for (name, task), share in shares.items():
            named = cell.subject.name in (name, f"{name}-seed0", f"{name}-seed1")
            if named and cell.condition.task == task:
                results[cell.key] = CellResult(cell.key, answers(share))
    return Generalization(Matrix(plan.subjects, (PLACE, STABILITY), entries), results)


def family(found: Generalization, name: str) -> Family:
    return next(each for each in found.families if each.name == name)


SHARES = {
    ("tiny", "place"): 0.1,
    ("tiny", "stability"): 0.5,
    ("tiny-place-grpo", "place"): 0.9,
    ("tiny-place-grpo", "stability"): 0.4,
    ("tiny-stability-grpo", "place"): 0.1,
    ("tiny-stability-grpo", "stability"): 0.9,
    ("tiny-place-sft-seed0", "place"): 0.5,
    ("tiny-place-sft-seed1", "place"): 0.7,
}


def test_families_are_subjects_that_differ_in_their_seed(plan: StudyPlan) -> None:
    found = generalize(plan, SHARES)
    assert [each.name for each in found.families] == [
        "tiny place grpo", "tiny place sft", "tiny stability grpo", "tiny stability sft",
        "tiny (base)", "physics", "guesser",
    ]  # fmt: skip
    sft = family(found, "tiny place sft")
    share = found.share(sft, PLACE)
    assert share is not None
    assert share.value == pytest.approx(0.6)
    # Half of the resamples hold both seeds: the interval spans the two.
    assert share.low < 0.5
    assert share.high > 0.7
    assert found.seed_deviation(sft, PLACE) == pytest.approx(0.2 / 2**0.5)
    assert found.share(sft, STABILITY) is None


def test_gains_ratios_and_forgetting_are_those_by_hand(plan: StudyPlan) -> None:
    found = generalize(plan, SHARES)
    on_place, on_stability = (family(found, f"tiny {t} grpo") for t in ("place", "stability"))
    diagonal = [(on_place, PLACE), (on_stability, STABILITY)]
    off = [(on_place, STABILITY), (on_stability, PLACE)]
    gain = found.gain(diagonal)
    assert gain is not None
    assert gain.value == pytest.approx((0.8 + 0.4) / 2)
    assert gain.low > 0.3
    ratio = found.transfer_ratio(diagonal, off)
    assert ratio is not None
    assert ratio.value == pytest.approx((-0.1 + 0.0) / 2 / 0.6)
    assert ratio.low < ratio.value < ratio.high
    forgotten = found.forgetting(off)
    assert forgotten is not None
    assert forgotten.value == pytest.approx(0.05)
    # Nothing was gained where the base is as good: there is no ratio.
    assert found.transfer_ratio(off, diagonal) is None
    assert found.gain([]) is None


def test_methods_are_compared_where_both_answered(plan: StudyPlan) -> None:
    (only,) = generalize(plan, SHARES).comparisons
    assert (only.first.method, only.second.method, only.condition) == ("grpo", "sft", PLACE)
    assert only.difference.value == pytest.approx(-0.3)
    # 16 scenes differ, by one in 8 of them and by a half in 8, all to one side.
    assert only.p == pytest.approx(1e-4, rel=2)


def test_a_missing_seed_is_left_out(plan: StudyPlan) -> None:
    shares = {("tiny-place-sft-seed0", "place"): 0.5}
    found = generalize(plan, shares)
    sft = family(found, "tiny place sft")
    share = found.share(sft, PLACE)
    assert share is not None
    assert share.value == 0.5
    assert found.gain([(sft, PLACE)]) is None
    assert found.seed_deviation(sft, PLACE) is None
