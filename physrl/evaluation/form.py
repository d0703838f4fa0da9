"""The form warm-up of a study: what all its models, and the base, know before anything else.

A run for each model of the grid trains on every task, with the ideal answers of other scenes: it
teaches how each task is answered and which answers are frequent, but nothing about an image. The
study then begins from its checkpoint in place of the model.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from physrl.config.load import Tree, merge
from physrl.config.study import JOINT, StudyConfig
from physrl.errors import ConfigError
from physrl.evaluation.trials import DEFAULT_VARIANT, TrialSpec, make_trial

METHOD = "form"
"""Method of the runs, which are no trials."""
Starts = Mapping[str, str]
"""Checkpoints of the form warm-up by model of the grid."""


def make_form_runs(config: StudyConfig) -> tuple[TrialSpec, ...]:
    """Make the run of each model, none without a form warm-up.

    Raises:
        ConfigError: the configuration of a run is invalid.
    """
    if config.form_warm_up is None:
        return ()
    trained = [task for mixture in config.grid.tasks for task in mixture.split(JOINT)]
    tasks = tuple(dict.fromkeys((*config.evaluation.tasks, *trained)))
    changes: Tree = {
        "algorithm": config.form_warm_up.model_dump() | {"targets": "shuffled"},
        "warm_start": None,
        "auxiliary": None,
        "curriculum": "uniform",
        "data": None,
    }
    seed = config.evaluation.seed
    return tuple(
        make_trial(config, changes, JOINT.join(tasks), METHOD, model, seed, DEFAULT_VARIANT)
        for model in config.grid.models
    )


def started(config: StudyConfig, runs: Sequence[TrialSpec], starts: Starts) -> StudyConfig:
    """Return the study with the checkpoints of its form warm-up in place of its models."""
    models = dict(config.grid.models)
    for run in runs:
        folder = Path(starts[run.model])
        has_adapter = run.config.model.lora is not None
        weights = (
            {"adapter": str(folder / "adapter")}
            if has_adapter
            else {"path": str(folder / "model"), "revision": None}
        )
        models[run.model] = merge(models[run.model], {"model": weights})
    return config.model_copy(update={"grid": config.grid.model_copy(update={"models": models})})


def check_same_weights(trials: Sequence[TrialSpec], runs: Sequence[TrialSpec]) -> None:
    """Refuse trials that train other weights than the form warm-up did, as they cannot begin there.

    Raises:
        ConfigError: a trial has other adapters.
    """
    models = {run.model: run.config.model for run in runs}
    for trial in trials:
        if trial.model in models and trial.config.model.lora != models[trial.model].lora:
            raise ConfigError(
                f"trial {trial.name} has another model.lora than the form warm-up of "
                f"{trial.model}, from which it begins: make it a model of grid.models, or set "
                "form_warm_up=null"
            )
