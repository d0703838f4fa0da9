"""The watched places with everything that pages are made from."""

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from jobs.display.printable import printable
from jobs.watch import runs as run_files
from jobs.watch.health import Warnings
from jobs.watch.listed_store import ListedStore
from jobs.watch.page_lock import PageLock
from jobs.watch.places import Places
from jobs.watch.runs import Runs, RunView, duration
from jobs.watch.sections import HAVE, Sections
from jobs.watch.studies import Studies, StudyView
from physrl.config.load import Tree

SECURITY = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; connect-src 'self'; "
    "style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
FIRST_READING_S = 0.4
"""Time for which a study's first page waits for its answers: enough for a small study."""


class Site:
    """What pages are made from; one page is made at a time.

    Args:
        names: folders of studies and runs, or `s3://` places.
        patience_s: time for which a study's first page waits for its answers.
    """

    def __init__(self, names: Sequence[str], patience_s: float = FIRST_READING_S) -> None:
        self.page_lock = PageLock()
        self.places, self.runs, self.studies = Places(names), Runs(), Studies(self.page_lock)
        self.warnings = Warnings()
        self.views: list[StudyView] = []
        self.problems: list[str] = []
        self._trial_runs: dict[tuple[str, str], ListedStore] = {}
        self._trial_configs: dict[tuple[str, str], Tree] = {}
        self._patience_s, self._listed = patience_s, False
        self._seen: set[tuple[str, str]] = set()
        self._templates = Environment(loader=PackageLoader("jobs.watch", "."), autoescape=True)
        self._templates.globals |= {"address": address, "duration": duration}

    def begin(self) -> None:
        """List all places if they have never been listed."""
        if not self._listed:
            self.refresh()

    def refresh(self) -> None:
        """List all places anew, and read the studies that have changed."""
        self._listed = True
        self.places.refresh()
        self.views, problems = self.studies.read(self.places)
        of_studies = [problem for view in self.views for problem in view.problems]
        self.problems = [*self.places.problems, *problems, *of_studies]
        runs = {tuple(run.location.split("/")[-3:]): run for run in self.places.runs()}
        self._trial_runs, self._trial_configs = {}, {}
        for view in self.views:
            for trial in view.outline.trials:
                run = runs.get((view.name, "trials", trial.name))
                if run is not None:
                    self._trial_runs[view.name, trial.name] = run
                    self._trial_configs[view.name, trial.name] = trial.config

    def read_answers(self, study: StudyView) -> None:
        """Begin to read a study's answers; the first time, wait for them a moment."""
        study.reading.update(study.matrix, study.done)
        place = (study.store.location, study.name)
        if place not in self._seen:
            self._seen.add(place)
            with self.page_lock.released():
                study.reading.wait(self._patience_s)

    def find_study(self, store: str, name: str) -> StudyView | None:
        """Find a study by its store's location and its name, which an address has."""
        return next(
            (view for view in self.views if (view.store.location, view.name) == (store, name)), None
        )

    def find_trial_run(self, study: str, trial: str) -> RunView | None:
        """Read the run of a trial; None if it is not at a watched place."""
        run = self._trial_runs.get((study, trial))
        return None if run is None else self.runs.read_trial(run, self._trial_configs[study, trial])

    def own_runs(self) -> list[ListedStore]:
        """List the runs that are no trials of a study on the site."""
        trials = {run.location for run in self._trial_runs.values()}
        return [run for run in self.places.runs() if run.location not in trials]

    def page(
        self, request: Request, template: str, title: str, *, status: int = 200, **values: Any
    ) -> Response:
        """Render a page, or for a refresh those of its parts that have changed."""
        sections = Sections()
        text = self._templates.get_template(f"{template}.html.j2").render(
            title=printable(title),
            now=run_files.now(),
            live=sections,
            problems=self.problems,
            **values,
        )
        if HAVE in request.headers and status == 200:
            news = sections.changed(request.headers[HAVE])
            return Response(news, headers=SECURITY, media_type="application/json")
        return HTMLResponse(text.encode(errors="replace"), status, headers=SECURITY)

    def message(self, request: Request, status: int, message: str) -> Response:
        """Say in a line why there is no page."""
        return self.page(request, "message", "Nothing to show", status=status, message=message)

    def asset(self, name: str) -> str:
        """Render the style sheet or the script."""
        return self._templates.get_template(f"{name}.j2").render()


Page = Callable[[Site, Request], Response]


def address(path: str, **values: object) -> str:
    """Write an address with its query, without what is empty."""
    kept = {name: value for name, value in values.items() if value is not None and value != ""}
    return f"{path}?{urlencode(kept, errors='surrogateescape')}"
