"""The page of a run: curves, time, warnings, checkpoints, configuration; its metrics as CSV."""

import csv
import io
import math
import shlex
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from jobs.watch.curves import curves
from jobs.watch.listed_store import ListedStore
from jobs.watch.runs import RunView, read_history
from jobs.watch.site import SECURITY, Site
from jobs.watch.time_use import MOST_FAULTS, faults, idle_chart, phases_chart
from physrl.config.differences import changed_settings, differences, show_value
from physrl.errors import PhysRLError
from physrl.storage.run_files import CONFIG
from physrl.storage.stored_checkpoints import list_checkpoints
from physrl.types import Metrics

MOST_OTHERS = 500
"""Runs that the page offers to compare the configuration with."""


def run_page(site: Site, request: Request) -> Response:
    """Show a run."""
    run = chosen_run(site, request)
    if run is None:
        return gone(site, request)
    view, (history, problem) = site.runs.read(run), read_history(run)
    checkpoints, checkpoint_problem = _checkpoints(run)
    numbers = [_numbers(row) for row in history]
    found = faults(numbers)
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
        phases=phases_chart(numbers, found),
        idle=idle_chart(numbers),
        faults=found[: -MOST_FAULTS - 1 : -1],
        more_faults=max(0, len(found) - MOST_FAULTS),
        warnings=site.warnings(run.location, numbers),
        **_configuration(site, view, request.query_params.get("beside", "")),
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


def _numbers(row: Mapping[str, Any]) -> Metrics:
    """Keep what is a finite number, and the step, which every row has."""
    kept = {
        name: value
        for name, value in row.items()
        if isinstance(value, int | float) and math.isfinite(value)
    }
    return kept | {"step": int(row["step"])}


def _configuration(site: Site, view: RunView, beside: str) -> dict[str, Any]:
    """Collect the settings that are not defaults, and those that another run has otherwise."""
    others = [run.location for run in site.places.runs() if run.location != view.location]
    values: dict[str, Any] = {"others": others[:MOST_OTHERS], "beside": beside, "differences": {}}
    if view.config is None:
        return values | {"changes": {}, "beside_problem": ""}
    other = site.places.find_run(beside)
    config = None if other is None else site.runs.read(other).config
    problem = f"run '{beside}' is not here, or its {CONFIG} cannot be read"
    return values | {
        "changes": {key: show_value(value) for key, value in changed_settings(view.config).items()},
        "differences": {}
        if config is None
        else {
            key: [show_value(value) for value in both]
            for key, both in differences([view.config, config]).items()
        },
        "beside_problem": problem if beside and config is None else "",
    }


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
