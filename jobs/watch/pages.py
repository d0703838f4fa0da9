"""The pages and their addresses; everything is read anew from the folders at each request."""

import csv
import io
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from jobs.display.printable import printable
from jobs.watch import runs as run_files
from jobs.watch.curves import curves
from jobs.watch.runs import RunView, duration, find_runs, read_run
from physrl.errors import PhysRLError
from physrl.evaluation.cells import find_cell_store
from physrl.evaluation.matrix import STATUSES, make_matrix
from physrl.storage.object_store import open_store
from physrl.storage.stored_checkpoints import list_checkpoints

SECURITY = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Pages:
    """The pages about some places.

    Args:
        places: folders of studies and runs, or `s3://` stores of studies.
    """

    def __init__(self, places: Sequence[str]) -> None:
        self._places = places
        self._templates = Environment(loader=PackageLoader("jobs.watch", "."), autoescape=True)
        self._templates.globals |= {"address": address, "duration": duration}

    def overview(self, request: Request) -> Response:
        """Show all studies and runs."""
        studies, problems = [], []
        for place in self._places:
            try:
                studies += list(_studies(place))
            except PhysRLError as error:
                problems.append(f"{place}: {error}")
        runs = [read_run(folder) for folder in self._folders()]
        if not studies and not runs:
            problems.append(f"no study and no run in {', '.join(self._places)}")
        return self._page("overview", "Overview", studies=studies, runs=runs, problems=problems)

    def run(self, request: Request) -> Response:
        """Show a run: curves, checkpoints, configuration."""
        folder = self._chosen(request)
        if folder is None:
            return self._gone(request)
        run, checkpoints, problem = read_run(folder), [], ""
        try:
            checkpoints = [
                {
                    "step": each.step,
                    "score": each.score,
                    "problem": each.problem,
                    "commands": _commands(folder, each.step),
                }
                for each in reversed(list_checkpoints(open_store(str(folder))))
            ]
        except (OSError, PhysRLError) as error:
            problem = f"checkpoints cannot be listed: {error}"
        return self._page(
            "run",
            run.name,
            run=run,
            curves=curves(run.history),
            checkpoints=checkpoints,
            checkpoint_problem=problem,
            changes=_changes(run),
        )

    def rollouts(self, request: Request) -> Response:
        """Show a page of rollouts that match the address."""
        if find_spec("pyarrow") is None:  # as on the light client
            return self._message(501, "rollouts are in Parquet files: pip install pyarrow")
        from jobs.watch import rollouts

        folder = self._chosen(request)
        if folder is None:
            return self._gone(request)
        asked = request.query_params
        try:
            wanted = rollouts.Search(
                kind=asked.get("kind", "all"),
                text=asked.get("text", ""),
                first=int(asked.get("first") or 1),
                last=int(asked.get("last") or 2**31),
                page=max(0, int(asked.get("page") or 0)),
            )
        except ValueError:
            return self._message(400, "first, last and page are whole numbers")
        if wanted.kind not in rollouts.KINDS:
            return self._message(
                400, f"show is '{wanted.kind}': choose {', '.join(rollouts.KINDS)}"
            )
        return self._page(
            "rollouts",
            f"Rollouts of {folder.name}",
            refresh=False,
            folder=folder,
            wanted=wanted,
            kinds=rollouts.KINDS,
            steps=rollouts.steps(folder),
            found=rollouts.search(folder, wanted),
        )

    def image(self, request: Request) -> Response:
        """Send the image that an attempt was shown."""
        from jobs.watch import rollouts

        folder, asked = self._chosen(request), request.query_params
        number = {name: asked.get(name, "") for name in ("step", "attempt")}
        if folder is None or not all(text.isdecimal() for text in number.values()):
            return Response(status_code=404, headers=SECURITY)
        step, attempt = (int(text) for text in number.values())
        found = rollouts.image(folder, step, asked.get("scene", ""), attempt)
        status = 404 if found is None else 200
        return Response(found, status, headers=SECURITY, media_type="image/png")

    def metrics(self, request: Request) -> Response:
        """Send a run's metrics as CSV."""
        folder = self._chosen(request)
        if folder is None:
            return self._gone(request)
        history = read_run(folder).history
        stream = io.StringIO()
        names = dict.fromkeys(name for row in history for name in row)
        writer = csv.DictWriter(stream, list(names))
        writer.writeheader()
        writer.writerows(history)
        return Response(stream.getvalue(), headers=SECURITY, media_type="text/csv")

    def style(self, request: Request) -> Response:
        """Send the style sheet."""
        text = self._templates.get_template("style.css.j2").render()
        return Response(text, headers=SECURITY, media_type="text/css")

    def _folders(self) -> Iterator[Path]:
        for place in self._places:
            if "://" not in place:
                yield from find_runs(Path(place))

    def _chosen(self, request: Request) -> Path | None:
        """Return the run that the address names, if it is one of those that were found."""
        name = request.query_params.get("run")
        return next((folder for folder in self._folders() if str(folder) == name), None)

    def _gone(self, request: Request) -> Response:
        name = request.query_params.get("run", "")
        return self._message(404, f"run '{name}' is not here, or has been deleted")

    def _message(self, status: int, message: str) -> Response:
        return self._page("message", "Not found", status, refresh=False, message=message)

    def _page(
        self, template: str, title: str, status: int = 200, *, refresh: bool = True, **values: Any
    ) -> Response:
        text = self._templates.get_template(f"{template}.html.j2").render(
            title=printable(title), refresh=refresh, now=run_files.now(), **values
        )
        return HTMLResponse(text.encode(errors="replace"), status, headers=SECURITY)


def make_app(places: Sequence[str]) -> Starlette:
    """Make the application; it answers GET alone, and only under this machine's own names."""
    pages = Pages(places)
    routes = {
        "/": pages.overview,
        "/run": pages.run,
        "/rollouts": pages.rollouts,
        "/image": pages.image,
        "/metrics.csv": pages.metrics,
        "/style.css": pages.style,
    }
    # Without a check of the name, a page elsewhere could read this one by DNS rebinding.
    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])
    return Starlette(routes=[Route(*each) for each in routes.items()], middleware=[hosts])


def address(path: str, **values: object) -> str:
    """Write an address with its query."""
    return f"{path}?{urlencode(values, errors='surrogateescape')}"


def _studies(place: str) -> Iterator[dict[str, Any]]:
    store = find_cell_store(place)
    if store is None:
        return
    for plan in store.plans():
        matrix = make_matrix(plan, store)
        done = store.done()
        reasons = Counter(entry.reason for entry in matrix.entries.values() if entry.reason)
        yield {
            "name": plan.name,
            "trials": len(plan.trials),
            "trained": sum(trial.key in done for trial in plan.trials),
            "cells": len(matrix.entries),
            "reasons": [f"{count} cells: {reason}" for reason, count in reasons.items()],
        } | {status: matrix.count(status) for status in STATUSES}


def _commands(folder: Path, step: int) -> list[str]:
    """Write what pulls, evaluates and resumes a run."""
    config, place = shlex.quote(str(folder / "config.yaml")), shlex.quote(str(folder))
    policy = shlex.quote(str(folder / "checkpoints" / f"step-{step:08d}"))
    return [
        f"physrl pull {place} --step {step}",
        f"physrl evaluate --config {config} --policy {policy}",
        f"physrl train --config {config} --resume",
    ]


def _changes(run: RunView) -> list[tuple[str, object]]:
    """List the values that are not defaults, by dotted key."""
    if run.config is None:
        return []
    return list(_flat(run.config.model_dump(mode="json", exclude_defaults=True)))


def _flat(tree: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
