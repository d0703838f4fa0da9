"""The page of a run: curves, checkpoints, configuration; and its metrics as CSV."""

import csv
import io
import shlex
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from jobs.watch.curves import curves
from jobs.watch.listed_store import ListedStore
from jobs.watch.runs import read_history
from jobs.watch.site import SECURITY, Site
from physrl.config.differences import changed_settings
from physrl.errors import PhysRLError
from physrl.storage.stored_checkpoints import list_checkpoints


def run_page(site: Site, request: Request) -> Response:
    """Show a run."""
    run = chosen_run(site, request)
    if run is None:
        return gone(site, request)
    view, (history, problem) = site.runs.read(run), read_history(run)
    checkpoints, checkpoint_problem = _checkpoints(run)
    return site.page(
        request,
        "run",
        view.name,
        refresh=True,
        run=view,
        curves=curves(history),
        history_problem=problem,
        checkpoints=checkpoints,
        checkpoint_problem=checkpoint_problem,
        changes={} if view.config is None else changed_settings(view.config),
    )


def metrics_csv(site: Site, request: Request) -> Response:
    """Send a run's metrics as CSV."""
    run = chosen_run(site, request)
    if run is None:
        return gone(site, request)
    history, _ = read_history(run)
    return csv_response(history)


def csv_response(rows: list[dict[str, Any]]) -> Response:
    """Send rows as CSV, with a column for each key that one of them has."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(dict.fromkeys(name for row in rows for name in row)))
    writer.writeheader()
    writer.writerows({name: _harmless(value) for name, value in row.items()} for row in rows)
    text = stream.getvalue().encode(errors="replace")
    return Response(text, headers=SECURITY, media_type="text/csv")


def chosen_run(site: Site, request: Request) -> ListedStore | None:
    """Return the run that the address names, if it is one of those that were found."""
    return site.places.find_run(request.query_params.get("run", ""))


def gone(site: Site, request: Request) -> Response:
    """Say that the run of the address does not exist, or no longer."""
    name = request.query_params.get("run", "")
    return site.message(request, 404, f"run '{name}' is not here, or has been deleted")


def _harmless(value: Any) -> Any:
    """Quote a text that a spreadsheet would take for a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t" and value else value


def _checkpoints(run: ListedStore) -> tuple[list[dict[str, Any]], str]:
    try:
        found = list_checkpoints(run)
    except PhysRLError as error:
        return [], f"checkpoints cannot be listed: {error}"
    return [
        {
            "step": each.step,
            "score": each.score,
            "problem": each.problem,
            "commands": _commands(run.location, each.step),
        }
        for each in reversed(found)
    ], ""


def _commands(place: str, step: int) -> list[str]:
    """Write what pulls, evaluates and resumes a run."""
    quoted, policy = shlex.quote(place), shlex.quote(f"{place}/checkpoints/step-{step:08d}")
    if "://" in place:
        return [f"physrl pull {quoted} --step {step}", f"physrl evaluate --policy {policy}"]
    config = shlex.quote(f"{place}/config.yaml")
    return [
        f"physrl pull {quoted} --step {step}",
        f"physrl evaluate --config {config} --policy {policy}",
        f"physrl train --config {config} --resume",
    ]
