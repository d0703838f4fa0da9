"""Trials of a study's grid: training runs with readable names and content keys."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product

from physrl.config.load import Tree, merge, validate
from physrl.config.methods import SHUFFLED, MethodTree, find_method, method_tree
from physrl.config.run import RunConfig
from physrl.config.study import JOINT, StudyConfig, VariantConfig
from physrl.errors import ConfigError
from physrl.evaluation.keys import content_key, run_content

DEFAULT_VARIANT = "default"
"""Variant that is left out of names."""
Rates = Mapping[tuple[str, str], float]
"""Learning rates by method and model."""


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


def make_trials(config: StudyConfig, rates: Rates) -> tuple[TrialSpec, ...]:
    """Expand the grid to trials in its order, followed by SFT on shuffled labels.

    All methods have the steps, scenes and updates of the base run.

    Args:
        rates: chosen learning rates; methods without one have that of their configuration.

    Raises:
        ConfigError: the configuration of a trial is invalid; the message names the trial.
    """
    grid = config.grid
    cases = [
        (task, method, model, seed, variant)
        for variant, task, method, model, seed in product(
            grid.variants, grid.tasks, grid.methods, grid.models, grid.seeds
        )
        if _applies(grid.variants[variant], task, method, model, seed)
    ]
    if config.controls.shuffled_labels and SHUFFLED not in grid.methods:
        cases += [
            (task, SHUFFLED, model, seed, DEFAULT_VARIANT)
            for task, model, seed in product(grid.tasks, grid.models, grid.seeds)
        ]
    trees = method_trees(config, {(method, model) for _, method, model, _, _ in cases})
    trials = []
    for task, method, model, seed, variant in cases:
        tree = trees[method, model].overrides
        rate = rates.get((method, model), rates.get((find_method(method).parent or "", model)))
        if rate is not None:
            tree = merge(tree, {"algorithm": {"lr": rate}})
        if variant in grid.variants:
            tree = merge(tree, grid.variants[variant].overrides)
        trials.append(make_trial(config, tree, task, method, model, seed, variant))
    return tuple(trials)


def make_trial(
    config: StudyConfig,
    changes: Tree,
    task: str,
    method: str,
    model: str,
    seed: int,
    variant: str,
) -> TrialSpec:
    """Make a trial of the base run with changes.

    Raises:
        ConfigError: its configuration is invalid.
    """
    name = _trial_name(task, method, model, seed, variant)
    first, *others = task.split(JOINT)
    mixture = [first, *others] if others else []
    tree = merge(base_tree(config, model), changes)
    tree |= {"task": first, "mixture": mixture, "seed": seed, "name": name}
    run = _validate(tree, f"trial {name}")
    key = content_key(trial=run_content(run))
    return TrialSpec(key, name, task, method, model, seed, variant, run)


def method_trees(
    config: StudyConfig, cases: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], MethodTree]:
    """Make the changes of the base run by methods and models.

    Raises:
        ConfigError: the base run is invalid.
    """
    bases = {model: base_tree(config, model) for model in config.grid.models}
    budgets = {model: _validate(tree, "base").algorithm for model, tree in bases.items()}
    return {
        (method, model): method_tree(method, config.grid.methods, bases[model], budgets[model])
        for method, model in cases
    }


def untaken_keys(config: StudyConfig) -> dict[str, tuple[str, ...]]:
    """List the keys of the base's algorithm that methods of the grid do not inherit."""
    cases = list(product(config.grid.methods, config.grid.models))
    trees = method_trees(config, cases)
    untaken: dict[str, tuple[str, ...]] = {}
    for method, model in cases:
        keys = (*untaken.get(method, ()), *trees[method, model].untaken)
        untaken[method] = tuple(dict.fromkeys(keys))
    return {method: keys for method, keys in untaken.items() if keys}


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


def _trial_name(task: str, method: str, model: str, seed: int, variant: str) -> str:
    parts = [model, task.replace(JOINT, "."), method]
    parts += [] if variant == DEFAULT_VARIANT else [variant]
    return "-".join([*parts, f"seed{seed}"])


def _validate(tree: Tree, source: str) -> RunConfig:
    try:
        return validate(tree)
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from None
