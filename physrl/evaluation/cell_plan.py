"""Cells of a study: every subject under every condition that tells something about it."""

from collections.abc import Mapping
from dataclasses import replace

from physrl.config.baseline import BaselineConfig
from physrl.config.run import RunConfig
from physrl.config.study import StudyConfig
from physrl.config.task import answer_form
from physrl.data.photos import load_photos
from physrl.evaluation.keys import content_key, photos_content
from physrl.evaluation.rule_names import rule_names
from physrl.evaluation.specs import CellSettings, CellSpec, Condition, Subject


def plan_cells(
    config: StudyConfig,
    base: RunConfig,
    models: Mapping[Subject, RunConfig],
    baselines: Mapping[Subject, BaselineConfig],
    controls: list[Subject],
) -> list[CellSpec]:
    """Make the cells of a study's models, then of its baselines, then of its controls.

    Baselines answer zero-shot, on tasks with the form of answer that they were trained on; controls
    under the default protocols alone, as they are shown no examples.

    Raises:
        DataError: the photographs cannot be read.
    """
    evaluation = config.evaluation
    photos = None if evaluation.real_images is None else load_photos(evaluation.real_images)
    photo_set = None if photos is None else (len(photos), photos_content(photos))

    def cell(subject: Subject, condition: Condition, run: RunConfig) -> CellSpec:
        return make_cell(subject, condition, _settings(config, base, run, condition, photo_set))

    conditions = make_conditions(config)
    cells = [cell(subject, each, run) for subject, run in models.items() for each in conditions]
    cells += [
        cell(subject, each, base)
        for subject, baseline in baselines.items()
        for each in conditions
        if each.shots == 0 and answer_form(each.task) == answer_form(baseline.task)
    ]
    cells += [
        cell(subject, each, base)
        for subject in controls
        for each in conditions
        if each == Condition(each.task, each.test_set) and _is_defined(subject, each)
    ]
    return cells


def make_conditions(config: StudyConfig) -> list[Condition]:
    """List the conditions of a study; photographs are asked about as `stability`."""
    evaluation = config.evaluation
    conditions = [
        Condition(task, test_set, prompting.shots, prompting.decoding, examples=prompting.examples)
        for prompting in evaluation.prompting
        for test_set in prompting.test_sets or evaluation.test_sets
        for task in evaluation.tasks
        if test_set != "real"
    ]
    conditions += [
        Condition(
            "stability", "real", prompting.shots, prompting.decoding, examples=prompting.examples
        )
        for prompting in evaluation.prompting
        if "real" in (prompting.test_sets or evaluation.test_sets)
    ]
    if config.controls.blank_images:
        matched = [each for each in conditions if each.test_set == "iid" and each.has_form]
        unprompted = [Condition(task) for task in evaluation.tasks]
        conditions += [replace(each, images="blank") for each in (*unprompted, *matched)]
    return list(dict.fromkeys(conditions))


def make_cell(subject: Subject, condition: Condition, settings: CellSettings) -> CellSpec:
    """Make a cell with the content key of its answers."""
    key = content_key(cell=[subject.key, condition, settings])
    return CellSpec(key, subject, condition, settings)


def _is_defined(control: Subject, condition: Condition) -> bool:
    """Return whether a control has answers: about photographs only the guesser has."""
    if control.kind == "rule" and control.name not in rule_names(condition.task):
        return False
    return control.kind == "guesser" or condition.test_set != "real"


def _settings(
    config: StudyConfig,
    base: RunConfig,
    run: RunConfig,
    condition: Condition,
    photo_set: tuple[int, str] | None,
) -> CellSettings:
    scenes, photos = config.evaluation.scenes, None
    if condition.test_set == "real":
        assert photo_set is not None  # checked by the configuration
        scenes, photos = photo_set
    return CellSettings(
        scenes=scenes,
        seed=config.evaluation.seed,
        environment=base.environment,
        reward=base.reward,
        reasoning=run.model.reasoning,
        temperature=base.temperature,
        min_p=config.evaluation.min_p,
        max_completion_tokens=run.model.max_completion_tokens,
        photos=photos,
        auxiliary=run.auxiliary,
    )
