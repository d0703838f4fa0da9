"""The grid's trials: each a run with a readable name and the key of what decides its weights."""

from dataclasses import dataclass
from itertools import product
from typing import Any

from physrl.config.load import Tree, merge, validate
from physrl.config.run import RunConfig
from physrl.config.study import JOINT, GridConfig, StudyConfig, VariantConfig, algorithm_type
from physrl.errors import ConfigError
from physrl.evaluation.keys import content_key, run_content

SHUFFLED = "sft_shuffled"
"""The control's method."""
PLAIN = "default"
"""The variant that a name does not say."""


@dataclass(frozen=True, slots=True)
class TrialSpec:
    """One training run of the grid."""

    key: str
    name: str
    """Of the run as well."""
    task: str
    """As the grid names it: a mixture is `place+stability`."""
    method: str
    model: str
    seed: int
    variant: str
    config: RunConfig


def make_trials(config: StudyConfig) -> tuple[TrialSpec, ...]:
    """The trials in the grid's order, then SFT on shuffled labels.

    All methods have the base's steps, scenes and updates; of SFT, as `match` says.

    Raises:
        ConfigError: a run is wrong; names the trial.
    """
    grid = config.grid
    base = _validated(config.base, "base")
    cases = [
        (task, method, model, seed, variant)
        for variant, task, method, model, seed in product(
            grid.variants, grid.tasks, grid.methods, grid.models, grid.seeds
        )
        if _is_made(grid.variants[variant], task, method, model, seed)
    ]
    trees = {name: _method(name, tree, base, grid) for name, tree in grid.methods.items()}
    if config.controls.shuffled_labels:
        sft = [tree for tree in trees.values() if tree["algorithm"]["type"] == "sft"]
        plain = sft[0] if sft else _method("sft", {}, base, grid)
        trees[SHUFFLED] = merge(plain, {"algorithm": {"targets": "shuffled"}})
        cases += [
            (task, SHUFFLED, model, seed, PLAIN)
            for task, model, seed in product(grid.tasks, grid.models, grid.seeds)
        ]
    trials = []
    for task, method, model, seed, variant in cases:
        name = _name(task, method, model, seed, variant)
        tree = merge(base_tree(config, model), trees[method])
        if variant in grid.variants:
            tree = merge(tree, grid.variants[variant].overrides)
        first, *others = task.split(JOINT)
        mixture = [first, *others] if others else []
        tree |= {"task": first, "mixture": mixture, "seed": seed, "name": name}
        run = _validated(tree, f"trial {name}")
        key = content_key(trial=run_content(run))
        trials.append(TrialSpec(key, name, task, method, model, seed, variant, run))
    return tuple(trials)


def base_tree(config: StudyConfig, model: str) -> Tree:
    """What the trials of a model are changes of."""
    return merge(config.base, config.grid.models[model])


def _is_made(variant: VariantConfig, task: str, method: str, model: str, seed: int) -> bool:
    return (
        (variant.tasks is None or task in variant.tasks)
        and (variant.methods is None or method in variant.methods)
        and (variant.models is None or model in variant.models)
        and (variant.seeds is None or seed in variant.seeds)
    )


def _method(name: str, tree: Tree, base: RunConfig, grid: GridConfig) -> Tree:
    """A method's changes, with its algorithm's type and the budget that all share."""
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


def _name(task: str, method: str, model: str, seed: int, variant: str) -> str:
    parts = [model, task.replace(JOINT, "."), method]
    parts += [] if variant == PLAIN else [variant]
    return "-".join([*parts, f"seed{seed}"])


def _validated(tree: Tree, what: str) -> RunConfig:
    try:
        return validate(tree)
    except ConfigError as error:
        raise ConfigError(f"{what}: {error}") from None
