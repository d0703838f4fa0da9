import json

from physrl.evaluation.claims import judge_claims
from physrl.evaluation.study_results import StudyResults
from physrl.report.study_summary import headline, summarize


def test_the_headline_and_the_summary_agree_with_the_plan(results: StudyResults) -> None:
    line = headline(results)
    assert list(line) == [
        "cells_done", "cells_missing", "diagonal_gain", "diagonal_gain_low",
        "diagonal_gain_over_warm_start", "off_diagonal_gain", "off_diagonal_parsed",
        "real_accuracy",
    ]  # fmt: skip
    assert line["cells_done"] + line["cells_missing"] == len(results.plan.cells)
    assert 0.3 < line["diagonal_gain_low"] < line["diagonal_gain"] < 0.5
    summary = summarize(results, judge_claims(results))
    shares = [
        cell["parsed"]
        for cell in summary["cells"]
        for family, condition in results.off_diagonal
        if (cell["family"], cell["task"]) == (family.name, condition.task)
    ]
    assert line["off_diagonal_parsed"] >= round(min(shares), 4)
    assert len(summary["missing"]) == line["cells_missing"]
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
