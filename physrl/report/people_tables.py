"""Tables of a study's report about people: who took part, and how far models agree with them."""

from collections.abc import Iterator
from dataclasses import dataclass

from physrl.evaluation.families import Family, group_families
from physrl.evaluation.people import PeopleGroup
from physrl.evaluation.people_scores import (
    Successes,
    agreement_with_people,
    halves,
    noise_ceiling,
    successes_of,
)
from physrl.evaluation.psychophysics import over_seeds
from physrl.evaluation.specs import Condition
from physrl.evaluation.study_results import StudyResults
from physrl.report.psychophysics_table import Value


@dataclass(frozen=True, slots=True)
class AgreementRow:
    """Agreement of a family, a mean over its seeds."""

    family: Family
    agreement: Value


@dataclass(frozen=True, slots=True)
class AgreementTable:
    """Agreement of families with one group of people under one condition."""

    group: str
    condition: Condition
    persons: int
    ceiling: float
    """Mean agreement of one half of the people with the other."""
    rows: tuple[AgreementRow, ...]


def agreement_tables(results: StudyResults) -> tuple[AgreementTable, ...]:
    """Make a table for each group and condition with a noise ceiling."""
    return tuple(
        table
        for group in results.people
        for condition in group.conditions
        if (table := _agreement_table(results, group, condition)) is not None
    )


def _agreement_table(
    results: StudyResults, group: PeopleGroup, condition: Condition
) -> AgreementTable | None:
    splits = halves(group, condition)
    ceiling = noise_ceiling(splits)
    if ceiling is None:
        return None
    rows = []
    for family in results.main_families:
        found = [
            agreement_with_people(each, splits) for each in _successes(results, family, condition)
        ]
        value = over_seeds(found)
        if value is not None:
            rows.append(AgreementRow(family, value))
    persons = len(group.persons(condition))
    return AgreementTable(group.name, condition, persons, ceiling, tuple(rows))


def _successes(results: StudyResults, family: Family, condition: Condition) -> Iterator[Successes]:
    for subject in group_families(results.plan.subjects).get(family, []):
        entry = results.matrix.find(subject, condition)
        cell = None if entry is None else results.cells.get(entry.cell.key)
        if cell is not None:
            yield successes_of(cell.answers)
