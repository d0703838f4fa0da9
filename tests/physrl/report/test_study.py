import json
import re
from pathlib import Path

import pytest

from physrl.config.study import load_study_config
from physrl.evaluation.cells import open_cell_store
from physrl.evaluation.claims import judge_claims
from physrl.evaluation.plan import plan_study
from physrl.evaluation.study_results import StudyResults, read_study_results
from physrl.report import landscape
from physrl.report.study import write_study_report
from physrl.report.study_summary import headline


@pytest.fixture(scope="module")
def page(results: StudyResults, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("report")
    facts = {"machine": "two cores"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(landscape, "SPACING", {1: 0.2})
        path = write_study_report(
            results, folder, facts, examples_per_cell=1, landscapes=("place_x", "stability")
        )
    assert json.loads((folder / "summary.json").read_text())["study"] == "made-up"
    return path.read_text()


def test_the_page_is_self_contained_and_complete(page: str) -> None:
    assert not re.search(r'(src|href)="(?!data:|#)', page.replace("xlink:href", "href"))
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(set(ids)) == len(ids)
    # Claims, matrix, transfer, comparisons, psychophysics, six kinds of figures, gallery, failures,
    # facts.
    assert len(re.findall("<h2>", page)) == 14
    # Learning, robustness, adaptation, probes, photographs, landscapes.
    assert page.count("<figure>") == 6
    assert page.count("<article") == 6 * 3  # families on one task, by tasks
    assert "CUDA out of memory" in page
    assert "two cores" in page
    assert "72%" in page  # accuracy of a single person


def test_missing_cells_are_visible(page: str) -> None:
    for status in ("missing", "failed", "running"):
        assert f">{status}</td>" in page


def test_a_study_without_results_has_a_report(tmp_path: Path) -> None:
    plan = plan_study(load_study_config(None, ["grid.tasks=[place]", "grid.methods={sft: {}}"]))
    empty = read_study_results(plan, open_cell_store(str(tmp_path / "store")))
    page = write_study_report(empty, tmp_path / "report", {}).read_text()
    assert ">missing</td>" in page
    verdicts = {claim.verdict for claim in judge_claims(empty)}
    assert verdicts == {"too little data", "not testable"}
    assert headline(empty)["diagonal_gain"] is None
    assert "<figure>" not in page
