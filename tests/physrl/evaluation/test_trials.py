from typing import Any

import pytest

from physrl.errors import ConfigError
from physrl.evaluation.trials import make_trials, untaken_keys
from tests.support.small_studies import small_study


def algorithms(*overrides: str) -> dict[str, Any]:
    """Return the algorithm of each method of a small study."""
    trials = make_trials(small_study(*overrides), {})
    return {trial.method: trial.config.algorithm for trial in trials}


def test_the_grid_expands_to_all_combinations_and_the_control() -> None:
    trials = make_trials(small_study(), {})
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
    by_method = algorithms("grid.methods={grpo: {}, sft: {}, sft_samples: {}, rejection: {}}")
    assert {each.steps for each in by_method.values()} == {5}
    scenes = {method: each.prompts_per_step for method, each in by_method.items()}
    samples = {method: each.completions_per_step for method, each in by_method.items()}
    assert scenes == {"grpo": 8, "sft": 8, "sft_samples": 32, "rejection": 8, "sft_shuffled": 8}
    assert samples == {
        "grpo": 32, "sft": 8, "sft_samples": 32, "rejection": 32, "sft_shuffled": 8
    }  # fmt: skip


def test_a_variant_applies_to_the_listed_trials() -> None:
    variants = (
        "grid.variants={default: {}, long: {overrides: {algorithm: {steps: 50}}, "
        "methods: [grpo], seeds: [1]}}"
    )
    long = [trial for trial in make_trials(small_study(variants), {}) if trial.variant == "long"]
    assert [trial.name for trial in long] == [
        "base-place-grpo-long-seed1",
        "base-place.stability-grpo-long-seed1",
    ]
    assert all(trial.config.algorithm.steps == 50 for trial in long)


BASE = (
    "base.algorithm={steps: 5, lr: 0.001, group_size: 4, max_grad_norm: 2.0, beta: 0.1, "
    "clip_high: 0.3, max_refills: 1}",
    "base.model.lora.rank=4",
)


def test_a_method_inherits_the_keys_of_the_base_that_its_type_has() -> None:
    methods = "grid.methods={grpo: {}, gspo: {}, dapo: {}, dr_grpo: {}, cispo: {}, sft: {}}"
    found = algorithms(methods, *BASE)
    assert {each.lr for each in found.values()} == {0.001}
    assert {each.max_grad_norm for each in found.values()} == {2.0}
    learning = {method: each for method, each in found.items() if each.uses_rollouts}
    assert {(each.group_size, each.beta) for each in learning.values()} == {(4, 0.1)}
    # Keys of the loss whose default differs between the types are the type's own.
    assert {method: getattr(each, "clip_high", None) for method, each in learning.items()} == {
        "grpo": 0.3, "gspo": 4e-4, "dapo": 0.28, "dr_grpo": 0.3, "cispo": None
    }  # fmt: skip
    assert [found[method].max_refills for method in ("grpo", "dapo", "gspo")] == [1, 3, 1]
    assert untaken_keys(small_study(methods, *BASE)) == {
        "gspo": ("clip_high",),
        "dapo": ("clip_high", "max_refills"),
        "cispo": ("clip_high",),
        "sft": ("group_size", "beta", "clip_high", "max_refills"),
    }


def test_a_methods_own_changes_win_over_what_it_inherits() -> None:
    found = algorithms("grid.methods={gspo: {algorithm: {lr: 0.5, clip_high: 0.1}}}", *BASE)
    assert (found["gspo"].lr, found["gspo"].clip_high, found["gspo"].group_size) == (0.5, 0.1, 4)


def test_a_model_of_the_grid_may_change_what_is_inherited() -> None:
    overrides = ("grid.models={a: {}, b: {algorithm: {lr: 0.25}}}", "grid.methods={gspo: {}}")
    trials = make_trials(small_study(*overrides, *BASE), {})
    rates = {trial.model: trial.config.algorithm.lr for trial in trials if trial.method == "gspo"}
    assert rates == {"a": 0.001, "b": 0.25}


def test_controls_differ_from_their_parent_in_one_respect() -> None:
    methods = (
        "grid.methods={grpo: {algorithm: {lr: 0.5}}, grpo_yoked: {}, grpo_random: {}, "
        "sft: {algorithm: {lr: 0.25}, model: {reasoning: true}}, sft_samples: {}, observer: {}}"
    )
    trials = {trial.method: trial.config for trial in make_trials(small_study(methods), {})}
    rl = {name: trials[name].algorithm.model_dump() for name in trials if "grpo" in name}
    assert [rl[name].pop("reward_source") for name in ("grpo", "grpo_yoked", "grpo_random")] == [
        "own", "yoked", "random"
    ]  # fmt: skip
    assert rl["grpo"] == rl["grpo_yoked"] == rl["grpo_random"]
    assert rl["grpo"]["lr"] == 0.5
    targets = {"sft": "ideal", "sft_samples": "ideal", "observer": "outcomes",
               "sft_shuffled": "shuffled"}  # fmt: skip
    for name, expected in targets.items():
        algorithm: Any = trials[name].algorithm
        assert (algorithm.targets, algorithm.lr) == (expected, 0.25)
        assert trials[name].model.reasoning
    # A change of SFT's scenes is shared by what has as many scenes, not by what has more.
    wider = algorithms(methods.replace("lr: 0.25", "prompts_per_step: 6"))
    assert {name: wider[name].prompts_per_step for name in targets} == {
        "sft": 6, "sft_samples": 32, "observer": 32, "sft_shuffled": 6
    }  # fmt: skip
    # An observer sees an outcome for each that RL causes.
    assert trials["observer"].algorithm.prompts_per_step == 8 * 4


def test_the_warm_start_is_a_trial_of_no_steps() -> None:
    overrides = ("grid.methods={grpo: {}, warm_start: {}}", "base.warm_start={steps: 3, lr: 0.5}")
    trials = {trial.method: trial for trial in make_trials(small_study(*overrides), {})}
    assert trials["warm_start"].config.algorithm.steps == 0
    assert trials["warm_start"].config.warm_start == trials["grpo"].config.warm_start
    with pytest.raises(ConfigError, match=r"warm_start-seed0: algorithm\.steps is 0"):
        make_trials(small_study(overrides[0]), {})


def test_chosen_rates_reach_a_method_and_those_that_share_it() -> None:
    methods = "grid.methods={grpo: {}, gspo: {}, grpo_yoked: {}, sft: {algorithm: {lr: 0.25}}}"
    trials = make_trials(small_study(methods), {("grpo", "base"): 0.5, ("gspo", "base"): 0.125})
    assert {trial.method: trial.config.algorithm.lr for trial in trials} == {
        "grpo": 0.5, "gspo": 0.125, "grpo_yoked": 0.5, "sft": 0.25, "sft_shuffled": 0.25
    }  # fmt: skip
