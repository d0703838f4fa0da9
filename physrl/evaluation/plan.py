"""The plan of a study: the trials of its grid and everything that is measured on each.

StudyConfig -> runs of the form warm-up
            -> runs that learning rates are chosen by
            -> trials -> subjects (trained models, bases, baselines, controls)
            -> cells, adaptations and probes, each with the content key of its result
"""

from collections.abc import Iterable, Mapping
from itertools import product

from physrl.config.load import validate
from physrl.config.run import RunConfig
from physrl.config.study import StudyConfig
from physrl.environments.generators import GENERATORS
from physrl.errors import ConfigError
from physrl.evaluation.cell_plan import plan_cells
from physrl.evaluation.form import Starts, check_same_weights, make_form_runs, started
from physrl.evaluation.keys import content_key
from physrl.evaluation.selection import first_rates, make_selection
from physrl.evaluation.specs import AdaptationSpec, ProbeSpec, StudyPlan, Subject
from physrl.evaluation.subjects import (
    base_subjects,
    baseline_subjects,
    control_subjects,
    trained_subject,
)
from physrl.evaluation.trials import Rates, base_tree, make_trials
from physrl.tasks import TASKS


def plan_study(
    config: StudyConfig, rates: Rates | None = None, starts: Starts | None = None
) -> StudyPlan:
    """Expand a study's configuration to its plan.

    Args:
        starts: checkpoints of the form warm-up; None before, when trials begin from the model of
            their configuration, and have provisional keys.
        rates: learning rates that were chosen (`choose_rates`); None before: trials then have the
            first rate that their method lists, and with it provisional keys.

    Raises:
        ConfigError: a trial's configuration is invalid, a test set does not differ from the base's
            scenes, a conversation shows more images than a model accepts, or there are more than
            `max_cells` cells.
        DataError: the photographs cannot be read.
    """
    form = make_form_runs(config)
    if starts is not None:
        config = started(config, form, starts)
    trials = make_trials(config, first_rates(config) if rates is None else rates)
    check_same_weights(trials, form)
    runs = {name: validate(base_tree(config, name)) for name in config.grid.models}
    bases = base_subjects(runs)
    models = {trained_subject(trial): trial.config for trial in trials}
    if config.controls.base:
        models |= bases
    base = next(iter(runs.values()))
    _check_test_sets(config, base)
    _check_image_limit(config, models.values())
    baselines = baseline_subjects(config, base)
    controls = control_subjects(config.controls, config.evaluation.tasks)
    cells = plan_cells(config, base, models, baselines, controls)
    subjects = (*models, *baselines, *controls)
    if len(cells) > config.max_cells:
        raise ConfigError(
            f"max_cells is {config.max_cells}, but {len(subjects)} subjects have {len(cells)} "
            f"cells: remove tasks, seeds or test sets, or set max_cells={len(cells)}"
        )
    return StudyPlan(
        name=config.name,
        trials=trials,
        bases={subject.key: run for subject, run in bases.items()},
        baselines={subject.key: run for subject, run in baselines.items()},
        subjects=subjects,
        cells=tuple(cells),
        adaptations=tuple(_plan_adaptations(config, models, base)),
        probes=tuple(_plan_probes(config, models, base)),
        selection=make_selection(config),
        form=form,
    )


def _plan_adaptations(
    config: StudyConfig, models: Mapping[Subject, RunConfig], base: RunConfig
) -> list[AdaptationSpec]:
    """Adapt every model to every task that it was not trained on.

    A trained model adapts with demonstrations of its own seed, and a base once with those of each
    seed of the grid: what adaptation varies by is then known on both sides.
    """
    adaptation = config.adaptation
    if adaptation is None:
        return []
    specs = []
    for (subject, run), task in product(models.items(), adaptation.tasks):
        if task in subject.trained_on:
            continue
        changes = {
            "name": f"{subject.name}-to-{task}",
            "seed": config.evaluation.seed,
            "task": task,
            "mixture": (),
            "environment": base.environment.model_dump(),
            "curriculum": "uniform",
            "data": None,
            "warm_start": None,
            "auxiliary": None,
            "algorithm": adaptation.algorithm.model_dump() | {"steps": adaptation.steps[-1]},
        }
        adapted = validate(run.model_dump() | changes)
        for seed in (subject.seed,) if subject.kind == "trained" else config.grid.seeds:
            inputs = [subject.key, adapted.algorithm, task, adapted.seed, adaptation.steps, seed]
            key = content_key(adaptation=[*inputs, adaptation.scenes, adapted.environment])
            specs.append(
                AdaptationSpec(
                    key, subject, task, adaptation.steps, adaptation.scenes, adapted, seed
                )
            )
    return specs


def _plan_probes(
    config: StudyConfig, models: Mapping[Subject, RunConfig], base: RunConfig
) -> list[ProbeSpec]:
    """Probe every model on every task of the probes."""
    probes = config.probes
    if probes is None:
        return []
    specs = []
    for subject, run in models.items():
        for task in probes.tasks:
            seed, reasoning = config.evaluation.seed, run.model.reasoning
            inputs = [subject.key, task, probes.targets, probes.scenes, probes.folds, seed]
            inputs.append(probes.interventions)
            specs.append(
                ProbeSpec(
                    key=content_key(probe=[*inputs, base.environment, reasoning]),
                    subject=subject,
                    task=task,
                    targets=probes.targets,
                    scenes=probes.scenes,
                    folds=probes.folds,
                    seed=seed,
                    environment=base.environment,
                    reasoning=reasoning,
                    interventions=probes.interventions,
                )
            )
    return specs


def _check_test_sets(config: StudyConfig, base: RunConfig) -> None:
    for test_set in config.evaluation.test_sets:
        if test_set != "real":
            GENERATORS[test_set](base.environment)  # raises if the set equals the base's scenes


def _check_image_limit(config: StudyConfig, runs: Iterable[RunConfig]) -> None:
    shots = max(prompting.shots for prompting in config.evaluation.prompting)
    task = max(config.evaluation.tasks, key=lambda name: TASKS[name].attempts)
    needed = shots + TASKS[task].attempts  # images of the longest conversation
    allowed = min(run.model.max_images for run in runs)
    if needed > allowed:
        raise ConfigError(
            f"model.max_images is {allowed}, but {task} with {shots} examples shows up to {needed} "
            f"images: set base.model.max_images={needed}"
        )
