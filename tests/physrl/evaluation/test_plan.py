import pytest
from pydantic import TypeAdapter

from physrl.config.task import TASKS
from physrl.errors import ConfigError
from physrl.evaluation.plan import plan_study
from physrl.evaluation.requests import cell_source
from physrl.evaluation.specs import CellSpec, StudyPlan
from tests.support.small_studies import small_study


def test_a_plan_measures_every_model_on_every_task() -> None:
    plan = plan_study(small_study())
    # 12 trials and the base, each on 2 tasks with shown and blank images; 2 controls on 2 tasks,
    # 9 rules on `place` and 2 on `stability`.
    assert len(plan.cells) == 13 * 4 + 2 * 2 + 9 + 2
    keys = [cell.key for cell in plan.cells]
    assert len(set(keys)) == len(keys)
    # Trials of one task adapt to all others, joint trials of two too, the base to all with 2 seeds.
    tasks = len(TASKS.built_in)
    assert len(plan.adaptations) == 6 * (tasks - 1) + 6 * (tasks - 2) + 2 * tasks


def test_all_models_adapt_on_the_same_scenes() -> None:
    variants = (
        "grid.variants={default: {}, play: {methods: [grpo], overrides: {curriculum: self_play, "
        "environment: {randomization: wild}, model: {reasoning: true}}}}"
    )
    plan = plan_study(small_study(variants, "grid.seeds=[3]", "adaptation.steps=[0, 2, 6]"))
    to_place_y = [spec for spec in plan.adaptations if spec.task == "place_y"]
    # 2 tasks by grpo, sft, self-play grpo and shuffled sft, and the base.
    assert len(to_place_y) == 9
    assert {spec.config.environment.randomization for spec in to_place_y} == {"none"}
    assert {(s.config.seed, s.config.algorithm.steps) for s in to_place_y} == {(0, 6)}
    assert {spec.config.algorithm.type for spec in to_place_y} == {"sft"}
    assert len({spec.key for spec in plan.adaptations}) == len(plan.adaptations)
    # Scenes are the study's; reasoning is the model's own.
    playing = [cell for cell in plan.cells if cell.subject.variant == "play"]
    assert {cell.settings.environment.randomization for cell in playing} == {"none"}
    assert {cell.settings.reasoning for cell in playing} == {True}


def test_a_plan_round_trips_through_json() -> None:
    adapter = TypeAdapter(StudyPlan)
    plan = plan_study(small_study())
    assert adapter.validate_json(adapter.dump_json(plan)) == plan


@pytest.mark.parametrize(
    ("overrides", "part"),
    [
        (["max_cells=10"], r"max_cells is 10.*max_cells=\d+"),
        (["base.algorithm.lr=-1"], r"algorithm\.lr.*-1"),
        (["grid.variants={wide: {overrides: {algorithm: {rank: 4}}}}"], "trial base-place-grpo-wi"),
        (["evaluation.test_sets=[wild]", "base.environment.randomization=wild"], "'wild'"),
        (["evaluation.prompting=[{shots: 5}]"], r"base\.model\.max_images=6"),
        (["grid.tasks=[place+place]"], r"mixture.*place, place"),
    ],
)
def test_an_invalid_study_is_refused_in_one_line(overrides: list[str], part: str) -> None:
    with pytest.raises(ConfigError, match=part) as caught:
        plan_study(small_study(*overrides))
    assert "\n" not in str(caught.value)


def test_outcome_prediction_is_a_variant() -> None:
    variants = (
        "grid.variants={default: {}, "
        "predicted: {overrides: {auxiliary: {mode: inline, weight: 0.5}}}, "
        "taught: {overrides: {auxiliary: {mode: separate}}, methods: [sft]}}"
    )
    plan = plan_study(small_study(variants))
    by_variant: dict[str, set[str]] = {}
    for trial in plan.trials:
        auxiliary = trial.config.auxiliary
        expected = {"default": None, "predicted": "inline", "taught": "separate"}[trial.variant]
        assert (auxiliary.mode if auxiliary else None) == expected
        by_variant.setdefault(trial.variant, set()).add(trial.method)
    assert by_variant["predicted"] == {"grpo", "sft"}
    assert by_variant["taught"] == {"sft"}
    assert len({trial.key for trial in plan.trials}) == len(plan.trials)
    # Models that predict outcomes do so in their cells; adaptation has no prediction.
    predicts = {cell.subject.variant: predicts_outcome(cell) for cell in plan.cells}
    assert predicts == {"default": False, "predicted": True, "taught": False, "": False}
    assert {spec.config.auxiliary for spec in plan.adaptations} == {None}
    with pytest.raises(ConfigError, match=r"base-place-grpo-taught-seed0: auxiliary\.mode"):
        plan_study(small_study(variants.replace(", methods: [sft]", "")))


def predicts_outcome(cell: CellSpec) -> bool:
    auxiliary = cell_source(cell).auxiliary
    return auxiliary is not None and auxiliary.predicts
