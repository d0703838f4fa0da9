"""The overview: every study and run that was found."""

from starlette.requests import Request
from starlette.responses import Response

from jobs.watch import runs as run_files
from jobs.watch.forecast import forecast
from jobs.watch.runs import RunView
from jobs.watch.site import Site
from jobs.watch.studies import StudyView
from jobs.watch.study_facts import StudyFacts, study_facts
from jobs.watch.trials import trial_rows
from physrl.metrics.lines import FILE as METRICS

MOST_RUNS = 50
"""Runs that are shown, those with the latest sign of life first."""


def overview(site: Site, request: Request) -> Response:
    """Show all studies and runs."""
    facts, runs, hidden = overview_facts(site)
    problems = site.problems
    if not facts and not runs and not problems:
        named = ", ".join(site.places.names)
        site.problems = [f"no study and no run in {named}: name a study's store or a run's folder"]
    return site.page(
        request, "overview", "Overview", studies=facts, runs=runs, hidden=hidden, refresh=True
    )


def overview_facts(site: Site) -> tuple[list[StudyFacts], list[RunView], int]:
    """Collect what the overview shows: studies, runs, and the number of runs left out."""
    facts = [facts_of(site, view) for view in site.views]
    runs = site.own_runs()
    if len(runs) > MOST_RUNS:
        signs = {run.location: run.entry(METRICS) for run in runs}
        runs.sort(key=lambda run: -(e.modified if (e := signs[run.location]) else 0.0))
    shown = sorted(runs[:MOST_RUNS], key=lambda run: run.location)
    return facts, [site.runs.read(run) for run in shown], len(runs) - len(shown)


def facts_of(site: Site, study: StudyView) -> StudyFacts:
    """Summarize a study, and begin to read its answers."""
    site.read_answers(study)
    now = run_files.now()
    rows = trial_rows(study, site.find_trial_run, now)
    return study_facts(study, rows, forecast(study, site.find_trial_run, now), now)
