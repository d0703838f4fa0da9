from physrl.evaluation.trials import make_trials
from tests.support.studies import small_study


def test_the_grid_expands_to_all_combinations_and_the_control() -> None:
    trials = make_trials(small_study())
    assert [trial.name for trial in trials] == [
        *(
            f"base-{task}-{method}-seed{seed}"
            for task in ("place", "place.stability")
            for method in ("grpo", "sft")
            for seed in (0, 1)
        ),
        *(f"base-{t}-sft_shuffled-seed{s}" for t in ("place", "place.stability") for s in (0, 1)),
    ]
    joint = next(trial for trial in trials if "." in trial.name)
    assert joint.config.tasks == ("place", "stability")
    assert joint.config.name == joint.name


def test_all_methods_have_the_same_budget() -> None:
    by_scenes = {trial.method: trial.config.algorithm for trial in make_trials(small_study())}
    assert {(a.steps, a.prompts_per_step) for a in by_scenes.values()} == {(5, 8)}
    by_samples = {
        trial.method: trial.config.algorithm
        for trial in make_trials(small_study("grid.match=samples"))
    }
    assert by_samples["sft"].prompts_per_step == 8 * 4
    assert by_samples["grpo"].prompts_per_step == 8


def test_a_variant_applies_to_the_listed_trials() -> None:
    variants = (
        "grid.variants={default: {}, long: {overrides: {algorithm: {steps: 50}}, "
        "methods: [grpo], seeds: [1]}}"
    )
    long = [trial for trial in make_trials(small_study(variants)) if trial.variant == "long"]
    assert [trial.name for trial in long] == [
        "base-place-grpo-long-seed1",
        "base-place.stability-grpo-long-seed1",
    ]
    assert all(trial.config.algorithm.steps == 50 for trial in long)
