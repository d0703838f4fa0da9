import json
import re
from pathlib import Path

import pytest

from physrl.config.study import load_study_config
from physrl.evaluation.cells import open_cell_store
from physrl.evaluation.claims import judge_claims
from physrl.evaluation.findings import Findings, read_findings
from physrl.evaluation.plan import plan_study
from physrl.report.study import (
    adaptation_rows,
    headline,
    matrix_tables,
    summarize,
    transfer_rows,
    write_study_report,
)
from tests.physrl.report.made_up import make_findings


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    return make_findings(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def page(findings: Findings, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("report")
    facts = {"machine": "two cores"}
    path = write_study_report(
        findings, folder, facts, examples_per_cell=1, landscapes=("place_x", "stability")
    )
    assert json.loads((folder / "summary.json").read_text())["study"] == "made-up"
    return path.read_text()


def test_the_page_is_self_contained_and_holds_every_part(page: str) -> None:
    assert not re.search(r'(src|href)="(?!data:|#)', page.replace("xlink:href", "href"))
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(set(ids)) == len(ids)
    for heading in (
        "The paper's claims", "Who can do what", "Transfer and forgetting", "Method against method",
        "Learning", "The trained task, otherwise", "Adaptation", "What can be read off",
        "Photographs of real towers", "What answers earn", "Answers, and what",
        "What failed",
    ):  # fmt: skip
        assert heading in page
    assert page.count("<article") == 6 * 3  # families on one task, by tasks
    assert "CUDA out of memory" in page
    assert "a single judgement is right 72% of the time" in page


def test_what_is_missing_stays_visible(findings: Findings, page: str) -> None:
    tables = {table.asking: table for table in matrix_tables(findings)}
    wild = {family.name: cells for family, cells in tables["wild, greedy"].rows}
    assert [cell.status for cell in wild["tiny place grpo long"]] == ["missing"] * 3
    iid = {family.name: cells for family, cells in tables["iid, greedy"].rows}
    lost = iid["tiny stability gspo"][1]
    assert lost.seeds == "1 of 2 seeds"
    assert lost.reason.startswith("its training failed: CUDA out of memory")
    assert lost.diagonal
    for status in ("missing", "failed", "running"):
        assert f">{status}</td>" in page


def test_the_claims_say_what_was_made_up(findings: Findings) -> None:
    verdicts = {claim.statement: claim.verdict for claim in judge_claims(findings)}
    assert verdicts["Training improves the trained task"] == "supported"
    assert verdicts["Nothing transfers to other tasks"] == "supported"
    assert verdicts["Trained models adapt faster to other tasks"] == "supported"
    assert verdicts["Stability can be read off models that do not answer by it"] == "supported"
    assert verdicts["A higher rank hurts other tasks"] == "too little data"
    gain = next(iter(judge_claims(findings))).figure
    assert gain is not None
    assert gain.low < 0.4 < gain.high


def test_the_headline_and_the_summary_agree_with_the_tables(findings: Findings) -> None:
    line = headline(findings)
    assert list(line) == [
        "cells_done", "cells_missing", "diagonal_gain", "diagonal_gain_low", "off_diagonal_gain",
        "real_accuracy",
    ]  # fmt: skip
    assert line["cells_done"] + line["cells_missing"] == len(findings.plan.cells)
    assert 0.3 < line["diagonal_gain_low"] < line["diagonal_gain"] < 0.5
    summary = summarize(findings, judge_claims(findings))
    assert len(summary["missing"]) == line["cells_missing"]
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    assert len(transfer_rows(findings)) == 6
    rows = [row for row in adaptation_rows(findings) if row.family.name == "tiny place grpo"]
    assert {row.task for row in rows} == {"stability", "place_x"}
    assert all(row.saved is not None and row.saved > 0 for row in rows)
    assert all(row.area_of_base is not None and row.area > row.area_of_base for row in rows)


def test_a_study_of_which_nothing_is_there_has_a_report(tmp_path: Path) -> None:
    plan = plan_study(load_study_config(None, ["grid.tasks=[place]", "grid.methods={sft: {}}"]))
    nothing = read_findings(plan, open_cell_store(str(tmp_path / "store")))
    page = write_study_report(nothing, tmp_path / "report", {}).read_text()
    assert ">missing</td>" in page
    assert {claim.verdict for claim in judge_claims(nothing)} == {"too little data"}
    assert headline(nothing)["diagonal_gain"] is None
    assert "Adaptation</h2>" not in page
