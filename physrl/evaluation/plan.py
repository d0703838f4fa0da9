"""A study spelled out: the trials of its grid, and everything that is measured on each.

StudyConfig -> trials -> subjects (trained models, bases, controls)
            -> cells, adaptations and probes, each with the key of what decides its result
"""

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from physrl.config.baseline import BaselineConfig
from physrl.config.load import validate
from physrl.config.run import RunConfig
from physrl.config.study import (
    JOINT,
    StudyConfig,
)
from physrl.config.task import answer_form
from physrl.data.photos import load_photos
from physrl.environments.generators import GENERATORS
from physrl.errors import ConfigError
from physrl.evaluation.keys import content_key, model_content, photos_content
from physrl.evaluation.specs import (
    AdaptationSpec,
    Asked,
    CellSpec,
    Condition,
    ProbeSpec,
    StudyPlan,
    Subject,
    SubjectKind,
)
from physrl.evaluation.trials import TrialSpec, base_tree, make_trials
from physrl.tasks import TASKS


def plan_study(config: StudyConfig) -> StudyPlan:
    """Spell a study out.

    Raises:
        ConfigError: a trial's configuration is wrong, a test set differs in nothing from the base's
            scenes, a conversation would show more pictures than a model may see, or there are more
            than max_cells.
        DataError: the photographs cannot be read.
    """
    trials = make_trials(config)
    bases = {name: validate(base_tree(config, name)) for name in config.grid.models}
    base_subjects = {
        Subject("base", content_key(base=model_content(run.model)), name, model=name): run
        for name, run in bases.items()
    }
    models = {_trained(trial): trial.config for trial in trials}
    if config.controls.base:
        models |= base_subjects
    controls = _controls(config)
    any_base = next(iter(bases.values()))
    _check_test_sets(config, any_base)
    _check_pictures(config, models.values())
    conditions = _conditions(config)
    photos = (
        None
        if config.evaluation.real_images is None
        else load_photos(config.evaluation.real_images)
    )
    shown = None if photos is None else (len(photos), photos_content(photos))
    cells = [
        make_cell(subject, condition, _asked(config, any_base, run, condition, shown))
        for subject, run in models.items()
        for condition in conditions
    ]
    baselines = _baselines(config, any_base)
    cells += [
        make_cell(subject, condition, _asked(config, any_base, any_base, condition, shown))
        for subject, baseline in baselines.items()
        for condition in conditions
        if condition.shots == 0 and answer_form(condition.task) == answer_form(baseline.task)
    ]
    cells += [
        make_cell(subject, condition, _asked(config, any_base, any_base, condition, shown))
        for subject in controls
        for condition in conditions
        if _is_plain(condition) and not (subject.kind == "physics" and condition.test_set == "real")
    ]
    subjects = (*models, *baselines, *controls)
    if len(cells) > config.max_cells:
        raise ConfigError(
            f"the study has {len(cells)} cells ({len(subjects)} subjects x up to "
            f"{len(conditions)} conditions), more than max_cells = {config.max_cells}: name fewer "
            f"tasks, seeds or test sets, or set max_cells={len(cells)}"
        )
    return StudyPlan(
        name=config.name,
        trials=trials,
        bases={subject.key: run for subject, run in base_subjects.items()},
        baselines={subject.key: run for subject, run in baselines.items()},
        subjects=subjects,
        cells=tuple(cells),
        adaptations=tuple(_adaptations(config, models, any_base)),
        probes=tuple(_probes(config, models, any_base)),
    )


def make_cell(subject: Subject, condition: Condition, asked: Asked) -> CellSpec:
    """The cell with the key of what decides its answers."""
    key = content_key(cell=[subject.key, _plain(condition), _plain(asked)])
    return CellSpec(key, subject, condition, asked)


def _trained(trial: TrialSpec) -> Subject:
    return Subject(
        kind="trained",
        key=trial.key,
        name=trial.name,
        trained_on=trial.config.tasks,
        method=trial.method,
        model=trial.model,
        seed=trial.seed,
        variant=trial.variant,
    )


def _controls(config: StudyConfig) -> list[Subject]:
    wanted: dict[SubjectKind, bool] = {
        "physics": config.controls.physics,
        "guesser": config.controls.guesser,
    }
    return [
        Subject(kind, content_key(control=kind), kind) for kind, asked in wanted.items() if asked
    ]


def _baselines(config: StudyConfig, base: RunConfig) -> dict[Subject, BaselineConfig]:
    """A network for every task and seed; mixtures have answers of several forms."""
    if config.baseline is None:
        return {}
    found = {}
    for task in (task for task in config.grid.tasks if JOINT not in task):
        for seed in config.grid.seeds:
            run = BaselineConfig.model_validate(
                {
                    "name": f"ppo-cnn-{task}-seed{seed}",
                    "seed": seed,
                    "output": base.output,
                    "task": task,
                    "environment": base.environment,
                    "reward": base.reward,
                    "ppo": config.baseline,
                    "workers": base.runtime.rollout_workers,
                }
            )
            deciding = [run.task, seed, _plain(run.environment), _plain(run.reward)]
            key = content_key(baseline=[*deciding, _plain(run.ppo)])
            subject = Subject("baseline", key, run.name, (run.task,), "ppo", "cnn", seed, "default")
            found[subject] = run
    return found


def _conditions(config: StudyConfig) -> list[Condition]:
    evaluation = config.evaluation
    conditions = [
        Condition(task, test_set, prompting.shots, prompting.decoding)
        for prompting in evaluation.prompting
        for test_set in prompting.test_sets or evaluation.test_sets
        for task in evaluation.tasks
        if test_set != "real"
    ]
    conditions += [
        Condition("stability", "real", prompting.shots, prompting.decoding)
        for prompting in evaluation.prompting
        if "real" in (prompting.test_sets or evaluation.test_sets)
    ]
    if config.controls.blank_images:
        conditions += [Condition(task, images="blank") for task in evaluation.tasks]
    return list(dict.fromkeys(conditions))


def _is_plain(condition: Condition) -> bool:
    """Whether it is asked zero-shot, greedily and with pictures: others tell controls nothing."""
    return (condition.shots, condition.decoding, condition.images) == (0, "greedy", "shown")


def _asked(
    config: StudyConfig,
    base: RunConfig,
    run: RunConfig,
    condition: Condition,
    shown: tuple[int, str] | None,
) -> Asked:
    scenes, photos = config.evaluation.scenes, None
    if condition.test_set == "real":
        assert shown is not None  # checked by the configuration
        scenes, photos = shown
    return Asked(
        scenes=scenes,
        seed=config.evaluation.seed,
        environment=base.environment,
        reward=base.reward,
        reasoning=run.model.reasoning,
        temperature=base.temperature,
        max_completion_tokens=run.model.max_completion_tokens,
        photos=photos,
        auxiliary=run.auxiliary,
    )


def _adaptations(
    config: StudyConfig, models: dict[Subject, RunConfig], base: RunConfig
) -> list[AdaptationSpec]:
    if config.adaptation is None:
        return []
    adaptation = config.adaptation
    specs = []
    for subject, run in models.items():
        for task in adaptation.tasks:
            if task in subject.trained_on:
                continue
            algorithm = adaptation.algorithm.model_dump() | {"steps": adaptation.steps[-1]}
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
                "algorithm": algorithm,
            }
            adapted = validate(run.model_dump() | changes)
            deciding = [subject.key, _plain(adapted.algorithm), task, adapted.seed]
            deciding += [list(adaptation.steps), adaptation.scenes, _plain(adapted.environment)]
            key = content_key(adaptation=deciding)
            specs.append(
                AdaptationSpec(key, subject, task, adaptation.steps, adaptation.scenes, adapted)
            )
    return specs


def _probes(
    config: StudyConfig, models: dict[Subject, RunConfig], base: RunConfig
) -> list[ProbeSpec]:
    if config.probes is None:
        return []
    probes = config.probes
    specs = []
    for subject, run in models.items():
        for task in probes.tasks:
            deciding = [subject.key, task, list(probes.targets), probes.scenes, probes.folds]
            deciding += [config.evaluation.seed, _plain(base.environment), run.model.reasoning]
            specs.append(
                ProbeSpec(
                    key=content_key(probe=deciding),
                    subject=subject,
                    task=task,
                    targets=probes.targets,
                    scenes=probes.scenes,
                    folds=probes.folds,
                    seed=config.evaluation.seed,
                    environment=base.environment,
                    reasoning=run.model.reasoning,
                )
            )
    return specs


def _check_test_sets(config: StudyConfig, base: RunConfig) -> None:
    for test_set in config.evaluation.test_sets:
        if test_set != "real":
            GENERATORS[test_set](base.environment)


def _check_pictures(config: StudyConfig, runs: Iterable[RunConfig]) -> None:
    """Refuse conversations that a model would refuse."""
    shots = max(prompting.shots for prompting in config.evaluation.prompting)
    task = max(config.evaluation.tasks, key=lambda name: TASKS[name].attempts)
    needed = pictures_needed(Condition(task, shots=shots))
    allowed = min(run.model.max_images for run in runs)
    if needed > allowed:
        raise ConfigError(
            f"{task} with {shots} examples shows up to {needed} pictures, but model.max_images is "
            f"{allowed}: set base.model.max_images={needed}"
        )


def pictures_needed(condition: Condition) -> int:
    """How many pictures the longest conversation of a condition shows."""
    return condition.shots + TASKS[condition.task].attempts


def _plain(record: Any) -> Any:
    return _adapter(type(record)).dump_python(record, mode="json")


_adapter: Callable[[Any], TypeAdapter[Any]] = cache(TypeAdapter)
