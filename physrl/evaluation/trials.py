"""Trials of a study's grid: training runs with readable names and content keys."""

from dataclasses import dataclass
from itertools import product
from typing import Any

from physrl.config.load import Tree, merge, validate
from physrl.config.run import RunConfig
from physrl.config.study import JOINT, GridConfig, StudyConfig, VariantConfig, algorithm_type
from physrl.errors import ConfigError
from physrl.evaluation.keys import content_key, run_content

SHUFFLED = "sft_shuffled"
"""Method of the control that is trained on shuffled labels."""
DEFAULT_VARIANT = "default"
"""Variant that is left out of names."""


@dataclass(frozen=True, slots=True)
class TrialSpec:
    """A training run of the grid."""

    key: str
    name: str
    """Name of the trial and of its run."""
    task: str
    """Task or mixture (`place+stability`) of the grid."""
    method: str
    model: str
    seed: int
    variant: str
    config: RunConfig


def make_trials(config: StudyConfig) -> tuple[TrialSpec, ...]:
    """Expand the grid to trials in its order, followed by SFT on shuffled labels.

    All methods have the steps, scenes and updates of the base run; those of SFT follow
    `grid.match`.

    Raises:
        ConfigError: the configuration of a trial is invalid; the message names the trial.
    """
    grid = config.grid
    base = _validate(config.base, "base")
    cases = [
        (task, method, model, seed, variant)
        for variant, task, method, model, seed in product(
            grid.variants, grid.tasks, grid.methods, grid.models, grid.seeds
        )
        if _applies(grid.variants[variant], task, method, model, seed)
    ]
    methods = {name: _method_tree(name, tree, base, grid) for name, tree in grid.methods.items()}
    if config.controls.shuffled_labels:
        sft = [tree for tree in methods.values() if tree["algorithm"]["type"] == "sft"]
        unshuffled = sft[0] if sft else _method_tree("sft", {}, base, grid)
        methods[SHUFFLED] = merge(unshuffled, {"algorithm": {"targets": "shuffled"}})
        cases += [
            (task, SHUFFLED, model, seed, DEFAULT_VARIANT)
            for task, model, seed in product(grid.tasks, grid.models, grid.seeds)
        ]
    trials = []
    for task, method, model, seed, variant in cases:
        name = _trial_name(task, method, model, seed, variant)
        tree = merge(base_tree(config, model), methods[method])
        if variant in grid.variants:
            tree = merge(tree, grid.variants[variant].overrides)
        first, *others = task.split(JOINT)
        mixture = [first, *others] if others else []
        tree |= {"task": first, "mixture": mixture, "seed": seed, "name": name}
        run = _validate(tree, f"trial {name}")
        key = content_key(trial=run_content(run))
        trials.append(TrialSpec(key, name, task, method, model, seed, variant, run))
    return tuple(trials)


def base_tree(config: StudyConfig, model: str) -> Tree:
    """Merge the base run with the changes of a model of the grid."""
    return merge(config.base, config.grid.models[model])


def _applies(variant: VariantConfig, task: str, method: str, model: str, seed: int) -> bool:
    return (
        (variant.tasks is None or task in variant.tasks)
        and (variant.methods is None or method in variant.methods)
        and (variant.models is None or model in variant.models)
        and (variant.seeds is None or seed in variant.seeds)
    )


def _method_tree(name: str, tree: Tree, base: RunConfig, grid: GridConfig) -> Tree:
    """Merge a method's changes with its algorithm's type and the budget that all methods share."""
    kind = algorithm_type(name, tree)
    algorithm = base.algorithm
    scenes = algorithm.prompts_per_step
    if kind == "sft" and grid.match == "samples":
        scenes = algorithm.completions_per_step
    budget: dict[str, Any] = {
        "steps": algorithm.steps,
        "prompts_per_step": scenes,
        "updates_per_rollout": algorithm.updates_per_rollout,
    }
    return merge({"algorithm": {"type": kind} | budget}, tree)


def _trial_name(task: str, method: str, model: str, seed: int, variant: str) -> str:
    parts = [model, task.replace(JOINT, "."), method]
    parts += [] if variant == DEFAULT_VARIANT else [variant]
    return "-".join([*parts, f"seed{seed}"])


def _validate(tree: Tree, source: str) -> RunConfig:
    try:
        return validate(tree)
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from None
