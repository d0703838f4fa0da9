"""The page that compares two policies of a study, or two that were evaluated in a run."""

from collections.abc import Mapping
from importlib.util import find_spec

from starlette.requests import Request
from starlette.responses import Response

from jobs.watch.comparison import OUTCOMES, compare_answers
from jobs.watch.policies import Policies, run_policies, study_policies
from jobs.watch.run_page import chosen_run, gone
from jobs.watch.site import Site

MOST_SCENES = 40
"""Scenes on a page."""


def compare_page(site: Site, request: Request) -> Response:
    """Compare the two policies of the address on a task."""
    if find_spec("pyarrow") is None or find_spec("scipy") is None:  # as on the light client
        return site.message(request, 501, "answers are compared by pyarrow and scipy: install them")
    asked = request.query_params
    policies = _policies(site, request, asked)
    if isinstance(policies, Response):
        return policies
    names = list(policies.names)
    first, second = (asked.get(each, "") for each in ("first", "second"))
    first = first if first in policies.names else next(iter(names), "")
    second = second if second in policies.names else next(iter(names[1:]), first)
    tasks = policies.tasks(first, second)
    task = asked.get("task", "")
    task = task if task in tasks else next(iter(tasks), "")
    outcome = asked.get("outcome", "")
    if outcome and outcome not in OUTCOMES:
        return site.message(request, 400, f"outcome is '{outcome}': choose {', '.join(OUTCOMES)}")
    cells, problems = policies.read(first, second, task)
    comparison = compare_answers([a for a, _ in cells], [b for _, b in cells])
    number = asked.get("page", "")
    page = int(number) if number.isascii() and number.isdecimal() and len(number) < 8 else 0
    shown = comparison.select(outcome)
    chosen = {"first": first, "second": second, "task": task, "outcome": outcome}
    return site.page(
        request,
        "compare",
        "Compare two policies",
        origin=policies.origin,
        names=policies.names,
        chosen=chosen,
        link={**policies.origin, **chosen},
        tasks=tasks,
        outcomes=OUTCOMES,
        conditions=[a.condition for a, _ in cells],
        comparison=comparison,
        page=page,
        pages=-(-len(shown) // MOST_SCENES),
        pairs=shown[page * MOST_SCENES : (page + 1) * MOST_SCENES],
        answer_problems=problems,
    )


def _policies(site: Site, request: Request, asked: Mapping[str, str]) -> Policies | Response:
    if "run" in asked:
        run = chosen_run(site, request)
        return gone(site, request) if run is None else run_policies(run)
    study = site.find_study(asked.get("store", ""), asked.get("study", ""))
    if study is None:
        name = asked.get("study", "")
        return site.message(request, 404, f"study '{name}' is not here, or has been deleted")
    return study_policies(study)
