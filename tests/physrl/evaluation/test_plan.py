from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import TypeAdapter

from physrl.config.study import StudyConfig, load_study_config
from physrl.errors import ConfigError
from physrl.evaluation.asking import cell_source
from physrl.evaluation.plan import plan_study
from physrl.evaluation.specs import CellSpec, StudyPlan

SMALL = (
    "grid.tasks=[place, place+stability]",
    "grid.methods={grpo: {}, sft: {}}",
    "grid.seeds=[0, 1]",
    "evaluation.tasks=[place, stability]",
    "base.algorithm={steps: 5, prompts_per_step: 8, group_size: 4}",
)


def study(*overrides: str) -> StudyConfig:
    return load_study_config(None, [*SMALL, *overrides])


def test_the_grid_is_every_combination_and_the_control() -> None:
    plan = plan_study(study())
    assert [trial.name for trial in plan.trials] == [
        *(
            f"base-{task}-{method}-seed{seed}"
            for task in ("place", "place.stability")
            for method in ("grpo", "sft")
            for seed in (0, 1)
        ),
        *(f"base-{t}-sft_shuffled-seed{s}" for t in ("place", "place.stability") for s in (0, 1)),
    ]
    joint = next(trial for trial in plan.trials if "." in trial.name)
    assert joint.config.tasks == ("place", "stability")
    assert joint.config.name == joint.name
    # 12 trials and the base, each on 2 tasks, seeing and blank; 2 controls on 2 tasks.
    assert len(plan.cells) == 13 * 4 + 2 * 2
    keys = [cell.key for cell in plan.cells]
    assert len(set(keys)) == len(keys)
    # Joint training leaves 1 of the 6 tasks less to adapt to.
    assert len(plan.adaptations) == 6 * 5 + 6 * 4 + 6


def test_all_methods_have_the_same_budget() -> None:
    by_scenes = {trial.method: trial.config.algorithm for trial in plan_study(study()).trials}
    assert {(a.steps, a.prompts_per_step) for a in by_scenes.values()} == {(5, 8)}
    by_samples = {
        trial.method: trial.config.algorithm
        for trial in plan_study(study("grid.match=samples")).trials
    }
    assert by_samples["sft"].prompts_per_step == 8 * 4
    assert by_samples["grpo"].prompts_per_step == 8


def test_a_variant_is_made_for_those_that_it_names() -> None:
    variants = (
        "grid.variants={default: {}, long: {overrides: {algorithm: {steps: 50}}, "
        "methods: [grpo], seeds: [1]}}"
    )
    plan = plan_study(study(variants))
    long = [trial for trial in plan.trials if trial.variant == "long"]
    assert [trial.name for trial in long] == [
        "base-place-grpo-long-seed1",
        "base-place.stability-grpo-long-seed1",
    ]
    assert all(trial.config.algorithm.steps == 50 for trial in long)


def test_keys_follow_what_decides_a_result_and_nothing_else() -> None:
    def keys(*overrides: str) -> dict[str, str]:
        plan = plan_study(study(*overrides))
        return {trial.name: trial.key for trial in plan.trials} | {
            f"{cell.subject.name}/{cell.condition.task}/{cell.condition.asking}": cell.key
            for cell in plan.cells
        }

    plain = keys()
    assert keys("name=other", "base.output=elsewhere", "base.runtime.threads=2") == plain
    other = keys("base.algorithm.lr=1e-4")
    changed = {name for name in plain if plain[name] != other[name]}
    # SFT's table is another, and the controls and the base learn nothing.
    assert {name.split("-")[2] for name in changed if "-" in name} == {"grpo"}
    assert not any(name.startswith(("base/", "physics", "guesser")) for name in changed)
    fewer = keys("evaluation.scenes=10")
    assert {name for name in plain if plain[name] != fewer[name]} == {n for n in plain if "/" in n}


def test_models_are_told_apart_by_what_their_folders_hold(tmp_path: Path) -> None:
    keys = []
    for name, weights in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes(weights)
        plan = plan_study(study(f"base.model.path={tmp_path / name}"))
        keys.append([trial.key for trial in plan.trials])
    assert keys[0] == keys[1] != keys[2]


def test_all_adapt_on_the_same_scenes_however_they_were_trained() -> None:
    variants = (
        "grid.variants={default: {}, play: {methods: [grpo], overrides: {curriculum: self_play, "
        "environment: {randomization: wild}, model: {reasoning: true}}}}"
    )
    plan = plan_study(study(variants, "grid.seeds=[3]", "adaptation.steps=[0, 2, 6]"))
    to_place_y = [spec for spec in plan.adaptations if spec.task == "place_y"]
    # 2 tasks by grpo, sft, playing grpo and shuffled sft, and the base.
    assert len(to_place_y) == 9
    assert {spec.config.environment.randomization for spec in to_place_y} == {"none"}
    assert {(s.config.seed, s.config.algorithm.steps) for s in to_place_y} == {(0, 6)}
    assert {spec.config.algorithm.type for spec in to_place_y} == {"sft"}
    assert len({spec.key for spec in plan.adaptations}) == len(plan.adaptations)
    # Scenes are the same; whether one thinks first is the model's own.
    playing = [cell for cell in plan.cells if cell.subject.variant == "play"]
    assert {cell.asked.environment.randomization for cell in playing} == {"none"}
    assert {cell.asked.reasoning for cell in playing} == {True}


def test_photographs_are_asked_about_as_stability(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / name)
    (tmp_path / "labels.csv").write_text("file,falls\na.png,1\nb.png,0\n")
    plan = plan_study(
        study("evaluation.test_sets=[iid, real]", f"evaluation.real_images={tmp_path}")
    )
    real = [cell for cell in plan.cells if cell.condition.test_set == "real"]
    assert {cell.condition.task for cell in real} == {"stability"}
    assert {cell.asked.scenes for cell in real} == {2}
    # Physics knows nothing of photographs.
    assert {cell.subject.kind for cell in real} == {"trained", "base", "guesser"}


def test_a_plan_survives_being_written() -> None:
    adapter = TypeAdapter(StudyPlan)
    plan = plan_study(study())
    assert adapter.validate_json(adapter.dump_json(plan)) == plan


@pytest.mark.parametrize(
    ("overrides", "part"),
    [
        (["max_cells=10"], "more than max_cells = 10: name fewer"),
        (["base.algorithm.lr=-1"], "algorithm.lr is -1"),
        (["grid.variants={wide: {overrides: {algorithm: {rank: 4}}}}"], "trial base-place-grpo-wi"),
        (["evaluation.test_sets=[wild]", "base.environment.randomization=wild"], "'wild'"),
        (["evaluation.prompting=[{shots: 5}]"], "set base.model.max_images=6"),
        (["grid.tasks=[place+place]"], "name none twice"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(overrides: list[str], part: str) -> None:
    with pytest.raises(ConfigError) as caught:
        plan_study(study(*overrides))
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_world_model_is_a_variant() -> None:
    variants = (
        "grid.variants={default: {}, "
        "predicted: {overrides: {auxiliary: {mode: inline, weight: 0.5}}}, "
        "taught: {overrides: {auxiliary: {mode: separate}}, methods: [sft]}}"
    )
    plan = plan_study(study(variants))
    by_variant: dict[str, set[str]] = {}
    for trial in plan.trials:
        auxiliary = trial.config.auxiliary
        expected = {"default": None, "predicted": "inline", "taught": "separate"}[trial.variant]
        assert (auxiliary.mode if auxiliary else None) == expected
        by_variant.setdefault(trial.variant, set()).add(trial.method)
    assert by_variant["predicted"] == {"grpo", "sft"}
    assert by_variant["taught"] == {"sft"}
    assert len({trial.key for trial in plan.trials}) == len(plan.trials)
    # Those that predict are asked to in their cells; all are adapted alike.
    asked = {cell.subject.variant: cell_asks(cell) for cell in plan.cells}
    assert asked == {"default": False, "predicted": True, "taught": False, "": False}
    assert {spec.config.auxiliary for spec in plan.adaptations} == {None}
    with pytest.raises(ConfigError, match=r"^trial base-place-grpo-taught-seed0: auxiliary.mode"):
        plan_study(study(variants.replace(", methods: [sft]", "")))


def cell_asks(cell: CellSpec) -> bool:
    auxiliary = cell_source(cell).auxiliary
    return auxiliary is not None and auxiliary.predicts
