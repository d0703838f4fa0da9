import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from physrl.evaluation.cells import CellStore, open_cell_store
from physrl.evaluation.people import PeopleGroup, PersonAnswer
from physrl.evaluation.results import Answer, CellResult
from physrl.evaluation.specs import Condition, StudyPlan
from physrl.evaluation.statistics import Floats
from physrl.evaluation.study_results import StudyResults, read_study_results
from physrl.report.people_figure import people_figure
from physrl.report.people_tables import agreement_tables
from physrl.report.psychophysics_table import psychophysics_rows
from physrl.report.study import write_study_report
from physrl.report.study_figures import photo_figure
from physrl.report.study_tables import matrix_tables
from tests.support.answers import make_verdict_answer
from tests.support.people import write_people_study

SCENES = 48
STABILITY, REAL = Condition("stability"), Condition("stability", "real")


def observe(margins: Floats, noise: float, bias: float, rng: np.random.Generator) -> list[Answer]:
    """Make the verdicts of an observer who sees margins with noise."""
    seen = margins + rng.normal(0, noise, len(margins)) < bias
    return [
        replace(
            make_verdict_answer(f"stability/test/iid/0/{n}", bool(yes), bool(margin < 0)),
            margin=float(margin),
        )
        for n, (margin, yes) in enumerate(zip(margins, seen, strict=True))
    ]


def fill(plan: StudyPlan, store: CellStore, margins: Floats) -> None:
    """Store the verdicts of models, and of twelve people who err alike."""
    rng = np.random.default_rng(0)
    shared = margins + rng.normal(0, 0.25, len(margins))
    for cell in plan.cells:
        if cell.condition == STABILITY and cell.subject.kind in ("base", "trained"):
            answers = observe(margins, 0.3 if cell.subject.kind == "trained" else 2.0, 0.0, rng)
            store.write_cell(cell.key, CellResult(cell.condition, tuple(answers)))
    answers = []
    for person in range(1, 13):
        seen = observe(shared, 0.1, 0.05, rng)
        for answer, margin in zip(seen, margins, strict=True):
            falls = bool(margin < 0)
            given = replace(answer, margin=float(margin), falls=falls,
                            success=answer.predicted_falls is falls)  # fmt: skip
            answers.append(PersonAnswer(person, STABILITY, given, 1.5))
        answers += [
            PersonAnswer(person, REAL, make_verdict_answer(f"p{n}.png", n % 3 > 0, n % 2 > 0), None)
            for n in range(4)
        ]
    store.write_people(plan.name, PeopleGroup("people", tuple(answers), {"too fast": 3}))


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> StudyResults:
    folder = tmp_path_factory.mktemp("people")
    given = (
        f"evaluation.scenes={SCENES}", "grid.tasks=[stability, place]", "grid.seeds=[0, 1, 2]",
        "grid.methods={grpo: {}, sft: {}}",
    )  # fmt: skip
    plan, _ = write_people_study(folder, *given)
    store = open_cell_store(str(folder / "store"))
    fill(plan, store, np.random.default_rng(1).uniform(-0.6, 0.6, SCENES))
    return read_study_results(plan, store)


def test_people_are_a_row_of_the_tables_of_what_they_answered(results: StudyResults) -> None:
    (table,) = [each for each in matrix_tables(results) if each.protocol == "iid, greedy"]
    family, cells = table.rows[-1]
    assert (family.kind, family.name) == ("people", "people")
    found = dict(zip(table.tasks, cells, strict=True))
    assert found["stability"].rate is not None
    assert 0.6 < found["stability"].rate.low < found["stability"].rate.high < 1
    assert "12 people" in found["stability"].told_apart
    assert (found["place"].rate, found["place"].status) == (None, "")


def test_the_curves_of_people_are_means_over_persons(results: StudyResults) -> None:
    row = psychophysics_rows(results)[-1]
    assert row.family.name == "people"
    for value in (row.threshold, row.slope, row.sensitivity, row.bias, row.consistency):
        assert value is not None
        assert not isinstance(value, float)
        assert value.low <= value.value <= value.high


def test_people_agree_with_each_other_more_than_models_do(results: StudyResults) -> None:
    (table,) = [each for each in agreement_tables(results) if each.condition == STABILITY]
    assert table.persons == 12
    assert table.ceiling > 0.6
    found = {row.family.name: row.agreement for row in table.rows}
    assert set(found) == {"base (base)", "base stability grpo", "base stability sft"}
    for value in found.values():
        assert value is not None
        assert (value if isinstance(value, float) else value.value) < table.ceiling


def test_photographs_have_a_bar_for_people(results: StudyResults) -> None:
    figure = photo_figure(results)
    assert figure is not None
    assert "<!-- people -->" in figure


def test_the_page_shows_people(results: StudyResults, tmp_path: Path) -> None:
    page = write_study_report(results, tmp_path, {}, examples_per_cell=0, landscapes=()).read_text()
    assert "<h2>People</h2>" in page
    assert re.search(r"people: 12 persons, \d+ answers\. Excluded by rule, too fast: 3\.", page)
    assert "noise ceiling" in page
    summary = json.loads((tmp_path / "summary.json").read_text())
    (people,) = summary["people"]
    assert [each["test_set"] for each in people["cells"]] == ["iid", "real"]
    assert {each["family"] for each in summary["agreement_with_people"]} >= {"base (base)"}


def test_without_people_there_is_no_figure(results: StudyResults) -> None:
    alone = replace(results, people=())
    assert agreement_tables(alone) == ()
    assert people_figure(alone, ()) is None
