"""The form warm-up of a study."""

from pathlib import Path

import numpy as np
import pytest

from physrl.config.study import load_study_config
from physrl.demonstrations import demonstrate
from physrl.environments.renderer import make_renderer
from physrl.environments.simulator import Simulator
from physrl.errors import ConfigError
from physrl.evaluation.cell_plan import make_conditions
from physrl.evaluation.evidence import Evidence, form_matched
from physrl.evaluation.plan import plan_study
from physrl.evaluation.specs import Condition
from physrl.scene_source import scene_source
from tests.support.simulated_study import plan_simulated, simulate_study
from tests.support.simulated_world import Size, World
from tests.support.small_studies import small_study

FORM = "form_warm_up={steps: 3, prompts_per_step: 8}"
LORA = "base.model.lora={rank: 8}"


def test_a_run_of_each_model_trains_on_every_task_with_shuffled_answers() -> None:
    models = "grid.models={small: {}, large: {model: {max_prompt_tokens: 600}}}"
    plan = plan_study(small_study(FORM, models, "evaluation.tasks=[place_x, place]"))
    assert [trial.model for trial in plan.form] == ["small", "large"]
    run = plan.form[1].config
    assert run.mixture == ("place_x", "place", "stability")
    assert (run.algorithm.type, run.algorithm.steps) == ("sft", 3)
    assert run.algorithm.targets == "shuffled"
    assert run.model.max_prompt_tokens == 600
    assert {trial.key for trial in plan.form} <= plan.keys
    assert not plan_study(small_study()).form


def test_its_answers_do_not_depend_on_the_image() -> None:
    run = plan_study(small_study(FORM, "base.environment.image_size=84")).form[0].config
    renderer, simulator = make_renderer(run.environment), Simulator()
    source = scene_source(run, run.task, "train")
    shown = demonstrate(source, range(60), renderer, simulator)
    scenes = [each.prompt.scene_id for each in shown if "place/" in each.prompt.scene_id]
    right = demonstrate(
        scene_source(run.model_copy(update={"algorithm": small_sft()}), run.task, "train"),
        range(60),
        renderer,
        simulator,
    )
    same = np.mean([a.target == b.target for a, b in zip(shown, right, strict=True)])
    assert len(scenes) == 30
    assert 0.1 < same < 0.5  # verdicts agree by chance, places hardly ever
    assert [a.prompt.text for a in shown] == [b.prompt.text for b in right]


def small_sft() -> object:
    return small_study("adaptation={}").adaptation.algorithm  # type: ignore[union-attr]


@pytest.mark.parametrize("lora", [False, True])
def test_all_models_and_the_base_begin_from_its_checkpoint(tmp_path: Path, lora: bool) -> None:
    config = small_study(FORM, *([LORA] if lora else ["base.model.lora=null"]))
    provisional = plan_study(config)
    plan = plan_study(config, starts={"base": str(tmp_path)})
    assert [trial.key for trial in plan.form] == [trial.key for trial in provisional.form]
    models = [trial.config.model for trial in plan.trials]
    models += [run.model for run in plan.bases.values()]
    models += [spec.config.model for spec in plan.adaptations]
    begun = {(model.path, model.adapter) for model in models}
    path = next(iter(provisional.bases.values())).model.path
    if lora:
        assert begun == {(path, str(tmp_path / "adapter"))}
    else:
        assert begun == {(str(tmp_path / "model"), None)}
    keys = {subject.key for subject in plan.subjects if subject.kind in ("trained", "base")}
    assert not keys & {subject.key for subject in provisional.subjects}


def test_trials_with_other_adapters_cannot_begin_there() -> None:
    variants = "grid.variants={default: {}, wide: {overrides: {model: {lora: {rank: 64}}}}}"
    with pytest.raises(ConfigError, match=r"wide.*model\.lora"):
        plan_study(small_study(FORM, LORA, variants))


@pytest.mark.parametrize("changes", ["steps: 0", "targets: shuffled", "targets: outcomes"])
def test_a_form_warm_up_without_steps_or_with_other_targets_is_refused(changes: str) -> None:
    with pytest.raises(ConfigError, match=r"form_warm_up"):
        load_study_config(None, [f"form_warm_up={{{changes}}}"])


def test_transfer_is_judged_without_examples_after_it(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    plan = plan_simulated(Size(3, 8, 60), tmp_path_factory.mktemp("photographs"), form=True)
    evidence = Evidence(simulate_study(plan, World(), np.random.default_rng(0)))
    assert evidence.transfer_condition("place") == Condition("place")
    assert evidence.photographs == Condition("stability", "real")


def test_the_constraint_comes_after_examples_of_form_and_before_solved_ones() -> None:
    prompting = "evaluation.prompting=[{}, {shots: 4}, {decoding: constrained}, {decoding: sampled}"
    tasks = ("evaluation.tasks=[place_x]", "base.model.max_images=5")
    conditions = make_conditions(small_study(f"{prompting}]", *tasks))
    constrained = Condition("place_x", decoding="constrained")
    assert form_matched(conditions, "place_x", "iid") == constrained
    blank = Condition("place_x", decoding="constrained", images="blank")
    assert blank in conditions
    more = make_conditions(small_study(f"{prompting}, {{shots: 1, examples: form}}]", *tasks))
    assert form_matched(more, "place_x", "iid") == Condition("place_x", shots=1, examples="form")
    without = [each for each in conditions if each.decoding != "constrained"]
    assert form_matched(without, "place_x", "iid") == Condition("place_x", shots=4)
