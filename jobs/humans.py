"""Export a study as an experiment for people, and import their answers."""

from collections.abc import Mapping
from pathlib import Path

from jobs.arguments.study_place import find_study
from jobs.display.console import console
from physrl.config.people import ExclusionConfig, ExperimentConfig
from physrl.data.photos import load_photos
from physrl.errors import DataError
from physrl.evaluation.people import PeopleGroup
from physrl.people.exclusions import exclude
from physrl.people.experiment import PAGE, check_empty, write_experiment
from physrl.people.judgements import holds_judgements, read_judgements
from physrl.people.parts import make_parts
from physrl.people.recordings import read_sessions
from physrl.people.scoring import score_people


def export(location: str, study: str | None, config: ExperimentConfig, out: Path) -> None:
    """Write the experiment of a study in a store.

    Raises:
        DataError: the store holds no such study, the photographs cannot be read, or the folder is
            not empty.
        ConfigError: the study has no such tasks, test sets or number of scenes.
    """
    check_empty(out)
    plan, _ = find_study(location, study)
    photos = () if config.real_images is None else load_photos(config.real_images)
    parts = make_parts(plan, config, photos)
    images = write_experiment(plan.name, parts, config, out)
    for part in parts:
        trials = len(part.lists[0]) + len(part.catches) + len(part.practice)
        console.print(
            f"{part.condition.task}, {part.condition.test_set}: {trials} trials a person, "
            f"{len(part.lists)} {_plural('list', len(part.lists))}"
        )
    console.print(f"experiment: {out / PAGE}, {images} images", soft_wrap=True)


def read(location: str, study: str | None, data: Path, name: str, rules: ExclusionConfig) -> None:
    """Import the answers of people to a study in a store, as a group of a name.

    Raises:
        DataError: the store holds no such study, or the data are damaged or not about it.
    """
    plan, store = find_study(location, study)
    photos = () if rules.real_images is None else load_photos(rules.real_images)
    if holds_judgements(data):
        if not photos:
            raise DataError(
                f"{data} holds judgements of photographs, but real_images is not set: name their "
                "folder"
            )
        group = read_judgements(name, data, photos)
        counted = "judgements"
    else:
        sessions = read_sessions(data)
        kept = exclude(sessions, rules)
        group = score_people(name, kept, plan, photos)
        counted = f"{len(sessions)} sessions: {len(kept.sessions)} kept{_named(kept.excluded)}"
    if not group.answers:
        raise DataError(f"{data}: {counted}: no answer is left: loosen the rules")
    store.write_people(plan.name, group)
    console.print(counted)
    _show(group)
    console.print(f"{name} stand in the report of {plan.name}: run physrl sweep again to write it")


def _named(excluded: Mapping[str, int]) -> str:
    return "".join(f", {count} excluded ({reason})" for reason, count in excluded.items())


def _show(group: PeopleGroup) -> None:
    for condition in group.conditions:
        persons = group.persons(condition)
        answers = [answer for each in persons.values() for answer in each]
        share = sum(answer.success for answer in answers) / len(answers)
        console.print(
            f"{condition.task}, {condition.test_set}: {len(persons)} "
            f"{_plural('person', len(persons))}, {len(answers)} answers, {share:.0%} right"
        )


def _plural(noun: str, count: int) -> str:
    return noun if count == 1 else f"{noun}s"
