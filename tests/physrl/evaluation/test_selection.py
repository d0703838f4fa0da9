"""Choice of learning rates."""

import pytest

from physrl.errors import ConfigError
from physrl.evaluation.cells import Trained
from physrl.evaluation.plan import plan_study
from physrl.evaluation.selection import choose_rates, make_selection, rate_accuracies
from physrl.evaluation.specs import StudyPlan
from physrl.evaluation.trials import TrialSpec
from tests.support.small_studies import small_study

METHODS = "grid.methods={grpo: {}, sft: {}, grpo_yoked: {}, observer: {}}"
RATES = "grid.selection={rates: {grpo: [0.5, 0.25], sft: [0.125, 0.75]}, scenes: 40}"


def planned(*overrides: str) -> StudyPlan:
    return plan_study(
        small_study(METHODS, RATES, "grid.tasks=[place, stability, place+stability]", *overrides)
    )


def results(trials: tuple[TrialSpec, ...], accuracies: list[float | None]) -> dict[str, Trained]:
    """Make results whose last validation has these accuracies; None is a run that failed."""
    return {
        trial.key: Trained(
            trial.key, trial.name, "nowhere", 1.0,
            ({"step": 1.0}, {"step": 2.0, f"validation/{trial.task}/accuracy": accuracy}),
        )
        for trial, accuracy in zip(trials, accuracies, strict=True)
        if accuracy is not None
    }  # fmt: skip


def test_every_rate_is_tried_on_every_task_with_a_seed_of_its_own() -> None:
    plan = planned()
    assert [(t.method, t.task, t.config.algorithm.lr, t.seed) for t in plan.selection] == [
        ("grpo", "place", 0.5, 1000), ("grpo", "place", 0.25, 1000),
        ("grpo", "stability", 0.5, 1000), ("grpo", "stability", 0.25, 1000),
        ("sft", "place", 0.125, 1000), ("sft", "place", 0.75, 1000),
        ("sft", "stability", 0.125, 1000), ("sft", "stability", 0.75, 1000),
    ]  # fmt: skip
    run = plan.selection[2].config
    assert (run.evaluation.every, run.evaluation.scenes) == (run.algorithm.steps, 40)
    assert len({trial.key for trial in (*plan.selection, *plan.trials)}) == len(
        (*plan.selection, *plan.trials)
    )
    assert {trial.key for trial in plan.selection} <= plan.keys
    assert not {subject.key for subject in plan.subjects} & {t.key for t in plan.selection}


def test_the_best_mean_over_tasks_is_chosen() -> None:
    plan = planned()
    # grpo: 0.5 has 0.9 and 0.1, 0.25 has 0.6 and 0.5; sft: equal means.
    trained = results(plan.selection, [0.9, 0.6, 0.1, 0.5, 0.2, 0.3, 0.3, 0.2])
    assert rate_accuracies(plan.selection, trained, "grpo", "base") == pytest.approx(
        {0.5: 0.5, 0.25: 0.55}
    )
    chosen = choose_rates(plan.selection, trained)
    assert chosen == {("grpo", "base"): 0.25, ("sft", "base"): 0.125}
    config = small_study(METHODS, RATES)
    lrs = {t.method: t.config.algorithm.lr for t in plan_study(config, chosen).trials}
    assert lrs == {
        "grpo": 0.25, "sft": 0.125, "grpo_yoked": 0.25, "observer": 0.125, "sft_shuffled": 0.125
    }  # fmt: skip


def test_a_rate_that_failed_on_a_task_is_not_chosen() -> None:
    plan = planned()
    trained = results(plan.selection, [0.9, 0.2, None, 0.2, 0.2, 0.3, 0.2, 0.3])
    assert choose_rates(plan.selection, trained)["grpo", "base"] == 0.25
    with pytest.raises(ConfigError, match="grpo"):
        choose_rates(plan.selection, results(plan.selection, [None] * 4 + [0.1] * 4))


def test_tasks_may_be_named_and_a_grid_without_selection_has_no_runs() -> None:
    assert {trial.task for trial in planned("grid.selection.tasks=[stability]").selection} == {
        "stability"
    }
    assert make_selection(small_study(METHODS)) == ()


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("grid.selection.rates={grpo: [1, 2], sft: [1, 2, 3]}", "2 for grpo, 3 for sft"),
        ("grid.selection.rates={grpo: [1], sft: [1]}", "1 for grpo"),
        ("grid.selection.rates={grpo: [1, 1], sft: [1, 2]}", "1 for grpo"),
        ("grid.methods.gspo={}", "'gspo'"),
        ("grid.selection.rates={grpo: [1, 2], sft: [1, 2], dapo: [1, 2]}", "'dapo'"),
        ("grid.selection.seed=1", "selection.seed 1"),
    ],
)
def test_unequal_efforts_are_refused(override: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        planned(override)
