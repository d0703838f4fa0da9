"""Choice of learning rates: runs with each rate, measured on validation scenes.

Every method that lists rates has as many runs, on the same tasks and with one seed that no trial
has. Their models are not subjects: nothing but the rate is taken from them.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product

import numpy as np

from physrl.config.load import merge
from physrl.config.study import JOINT, StudyConfig
from physrl.errors import ConfigError
from physrl.evaluation.cells import Trained
from physrl.evaluation.keys import content_key, run_content
from physrl.evaluation.trials import Rates, TrialSpec, make_trial, method_trees


def make_selection(config: StudyConfig) -> tuple[TrialSpec, ...]:
    """Make the runs that rates are chosen by, none if the grid chooses none.

    Raises:
        ConfigError: the configuration of a run is invalid.
    """
    grid, selection = config.grid, config.grid.selection
    if selection is None:
        return ()
    trees = method_trees(config, product(selection.rates, grid.models))
    trials = []
    for (method, model), task in product(trees, selected_on(config)):
        changes = trees[method, model].overrides
        measured = {
            "every": changes["algorithm"]["steps"],
            "scenes": selection.scenes,
            "tasks": [task.split(JOINT)[0]],
        }
        for rate in selection.rates[method]:
            tree = merge(changes, {"algorithm": {"lr": rate}, "evaluation": measured})
            variant = f"rate_{rate}"
            trial = make_trial(config, tree, task, method, model, selection.seed, variant)
            key = content_key(selection=[run_content(trial.config), selection.scenes])
            trials.append(replace(trial, key=key))
    return tuple(trials)


def first_rates(config: StudyConfig) -> Rates:
    """Return the first rate that each method lists, for every model."""
    selection, models = config.grid.selection, config.grid.models
    if selection is None:
        return {}
    return {(name, model): rates[0] for name, rates in selection.rates.items() for model in models}


def selected_on(config: StudyConfig) -> Sequence[str]:
    """List the tasks that rates are tried on."""
    selection = config.grid.selection
    if selection is not None and selection.tasks is not None:
        return selection.tasks
    single = [task for task in config.grid.tasks if JOINT not in task]
    return single or config.grid.tasks


def choose_rates(trials: Sequence[TrialSpec], trained: Mapping[str, Trained]) -> Rates:
    """Choose the rate with the highest mean accuracy over tasks; the lowest of equal ones.

    Args:
        trials: all runs of the selection.
        trained: their results by key; a run that failed has none, and its rate is not chosen.

    Raises:
        ConfigError: every rate of a method has failed.
    """
    chosen = {}
    for method, model in dict.fromkeys((trial.method, trial.model) for trial in trials):
        accuracies = rate_accuracies(trials, trained, method, model)
        if not accuracies:
            raise ConfigError(
                f"grid.selection.rates.{method}: none of them could be trained from {model}: list "
                "others, or see the reasons with physrl status"
            )
        chosen[method, model] = max(sorted(accuracies), key=accuracies.__getitem__)
    return chosen


def rate_accuracies(
    trials: Sequence[TrialSpec], trained: Mapping[str, Trained], method: str, model: str
) -> dict[float, float]:
    """Compute the mean accuracy over tasks of every rate whose runs have all succeeded."""
    by_rate: dict[float, list[float]] = {}
    for trial in trials:
        if (trial.method, trial.model) == (method, model):
            rate = trial.config.algorithm.lr
            by_rate.setdefault(rate, []).append(_accuracy(trial, trained.get(trial.key)))
    means = {rate: float(np.mean(values)) for rate, values in by_rate.items()}
    return {rate: mean for rate, mean in means.items() if not math.isnan(mean)}


def _accuracy(trial: TrialSpec, trained: Trained | None) -> float:
    """Return the accuracy after a run's last step, NaN if it failed or was not measured."""
    if trained is None:
        return math.nan
    return trained.metrics[-1].get(f"validation/{trial.config.task}/accuracy", math.nan)
