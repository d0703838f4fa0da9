"""Subjects of a study: trained models, base models, policies without language, controls."""

from collections.abc import Mapping, Sequence

from physrl.config.baseline import BaselineConfig
from physrl.config.run import RunConfig
from physrl.config.study import JOINT, ControlsConfig, StudyConfig
from physrl.config.task import TaskName
from physrl.evaluation.keys import content_key, model_content
from physrl.evaluation.rule_names import rule_names
from physrl.evaluation.specs import Subject, SubjectKind
from physrl.evaluation.trials import DEFAULT_VARIANT, TrialSpec


def trained_subject(trial: TrialSpec) -> Subject:
    """Make the subject of a trial's final model; it shares the trial's key."""
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


def base_subjects(runs: Mapping[str, RunConfig]) -> dict[Subject, RunConfig]:
    """Make the subjects of the models before training, by their names in the grid."""
    return {
        Subject("base", content_key(base=model_content(run.model)), name, model=name): run
        for name, run in runs.items()
    }


def baseline_subjects(config: StudyConfig, base: RunConfig) -> dict[Subject, BaselineConfig]:
    """Make a network without language for each task and seed.

    Mixtures are left out: the answers of their tasks differ in form.
    """
    if config.baseline is None:
        return {}
    subjects = {}
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
            key = content_key(baseline=[run.task, seed, run.environment, run.reward, run.ppo])
            subject = Subject(
                "baseline", key, run.name, (run.task,), "ppo", "cnn", seed, DEFAULT_VARIANT
            )
            subjects[subject] = run
    return subjects


def control_subjects(controls: ControlsConfig, tasks: Sequence[TaskName]) -> list[Subject]:
    """Make the configured controls, with each rule that is defined for one of the tasks."""
    kinds: tuple[SubjectKind, ...] = ("physics", "guesser")
    subjects = [
        Subject(kind, content_key(control=kind), kind) for kind in kinds if getattr(controls, kind)
    ]
    names = dict.fromkeys(name for task in tasks for name in rule_names(task))
    rules = [Subject("rule", content_key(rule=name), name) for name in names]
    return subjects + rules if controls.rules else subjects
