"""The page of a study while it fills, and its tables as CSV."""

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from jobs.watch import runs as run_files
from jobs.watch.forecast import forecast
from jobs.watch.matrix_table import matrix_table
from jobs.watch.run_page import csv_response
from jobs.watch.site import Site
from jobs.watch.studies import StudyView
from jobs.watch.study_charts import (
    MOST_LINES,
    adaptation_charts,
    curves_chart,
    parallel_chart,
    scatter_chart,
    trial_curves,
)
from jobs.watch.study_facts import study_facts
from jobs.watch.study_query import StudyQuery, parse_query
from jobs.watch.trials import COLUMNS, FILTERS, TrialRow, trial_rows
from physrl.report.study_conclusions import claim_groups

PAGE = 50
"""Trials on a page of the table."""


def study_page(site: Site, request: Request) -> Response:
    """Show a study: trials, charts, matrix, claims, what comes next."""
    query = _query(request)
    study = _study(site, query.store, query.study)
    now = run_files.now()
    rows = trial_rows(study, site.find_trial_run, now)
    chosen = query.filter.select(rows)
    coming = forecast(study, site.find_trial_run, now)
    judgement = study.reading.judgement
    return site.page(
        request,
        "study",
        study.name,
        refresh=True,
        study=study,
        query=query,
        facts=study_facts(study, rows, coming, now),
        coming=coming,
        columns=COLUMNS,
        choices=_choices(rows),
        rows=chosen[query.page * PAGE : (query.page + 1) * PAGE],
        chosen=len(chosen),
        pages=-(-len(chosen) // PAGE),
        table=matrix_table(study, query.protocol),
        claim_groups=[] if judgement is None else claim_groups(judgement.claims),
        judged=0 if judgement is None else judgement.cells,
        **_charts(site, study, query, chosen),
    )


def trials_csv(site: Site, request: Request) -> Response:
    """Send the table of trials as CSV, filtered and sorted as the page is."""
    query = _query(request)
    study = _study(site, query.store, query.study)
    rows = trial_rows(study, site.find_trial_run, run_files.now())
    names = ("name", *COLUMNS, "held_out", "reason")
    return csv_response(
        [
            {name: row.trial.name if name == "name" else row.value(name) for name in names}
            for row in query.filter.select(rows)
        ]
    )


def matrix_csv(site: Site, request: Request) -> Response:
    """Send the matrix under the protocol of the address as CSV."""
    asked = request.query_params
    study = _study(site, asked.get("store", ""), asked.get("study", ""))
    table = matrix_table(study, asked.get("protocol", ""))
    rows: list[dict[str, Any]] = [
        {
            "family": family.name,
            "task": condition.task,
            "protocol": table.protocol,
            "rate": None if cell.rate is None else cell.rate.value,
            "low": None if cell.rate is None else cell.rate.low,
            "high": None if cell.rate is None else cell.rate.high,
            "status": cell.words,
            "reason": "; ".join(cell.reasons),
        }
        for family, cells in table.rows
        for condition, cell in zip(table.conditions, cells, strict=True)
        if cell is not None
    ]
    return csv_response(rows)


def _charts(
    site: Site, study: StudyView, query: StudyQuery, chosen: list[TrialRow]
) -> dict[str, Any]:
    factors = study.index.factors
    curves = trial_curves(site, study, chosen)
    drawn, metric, metrics = curves_chart(chosen, curves, factors, query)
    scatter, x_name = scatter_chart(chosen, factors, query)
    return {
        "curves": drawn,
        "most_lines": MOST_LINES,
        "metric": metric,
        "metrics": metrics,
        "scatter": scatter,
        "x_name": x_name,
        "parallel_chart": parallel_chart(chosen, factors, query),
        "adaptations": adaptation_charts(study, chosen),
        "factors": list(factors),
    }


def _choices(rows: list[TrialRow]) -> dict[str, list[str]]:
    """List the values that each column can be filtered by."""
    return {name: sorted({str(row.value(name)) for row in rows}) for name in FILTERS}


def _query(request: Request) -> StudyQuery:
    try:
        return parse_query(request.query_params)
    except ValueError as error:
        raise HTTPException(400, str(error)) from None


def _study(site: Site, store: str, name: str) -> StudyView:
    """Find the study of an address, and begin to read its answers."""
    study = site.find_study(store, name)
    if study is None:
        raise HTTPException(404, f"study '{name}' is not here, or has been deleted")
    site.read_answers(study)
    return study
