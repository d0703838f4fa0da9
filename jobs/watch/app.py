"""The application: addresses and their pages."""

import logging
from collections.abc import Callable, Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from jobs.watch.compare_page import compare_page
from jobs.watch.overview_page import overview
from jobs.watch.rollouts_page import image, rollouts_page
from jobs.watch.run_page import metrics_csv, run_page
from jobs.watch.site import FIRST_READING_S, SECURITY, Page, Site
from jobs.watch.study_page import matrix_csv, study_page, trials_csv
from physrl.errors import reason_of

PAGES: dict[str, Page] = {
    "/": overview,
    "/study": study_page,
    "/trials.csv": trials_csv,
    "/matrix.csv": matrix_csv,
    "/run": run_page,
    "/metrics.csv": metrics_csv,
    "/rollouts": rollouts_page,
    "/compare": compare_page,
}
IMAGES: dict[str, Page] = {"/image": image}
"""Addresses of what belongs to a page, whose listing they share."""
ASSETS = {"/style.css": "text/css", "/live.js": "text/javascript"}
HOSTS = ("127.0.0.1", "localhost")
logger = logging.getLogger(__name__)


def make_app(places: Sequence[str], patience_s: float = FIRST_READING_S) -> Starlette:
    """Make the application; it answers GET alone, and only under this machine's own names.

    Args:
        patience_s: time for which a study's first page waits for its answers.
    """
    site = Site(places, patience_s)
    routes = [Route(path, _endpoint(site, page, Site.refresh)) for path, page in PAGES.items()]
    routes += [Route(path, _endpoint(site, page, Site.begin)) for path, page in IMAGES.items()]
    routes += [Route(path, _asset(site, path, kind)) for path, kind in ASSETS.items()]
    # Without a check of the name, a page elsewhere could read this one by DNS rebinding.
    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=list(HOSTS))
    return Starlette(routes=routes, middleware=[hosts])


def _endpoint(
    site: Site, page: Page, prepare: Callable[[Site], None]
) -> Callable[[Request], Response]:
    def answer(request: Request) -> Response:
        with site.page_lock:
            prepare(site)
            try:
                return page(site, request)
            except HTTPException as error:
                return site.message(request, error.status_code, error.detail)
            except Exception as error:  # of one page: the others go on
                logger.exception("%s", request.url.path)
                return site.message(request, 500, f"this page failed: {reason_of(error)}")

    return answer


def _asset(site: Site, path: str, kind: str) -> Callable[[Request], Response]:
    text = site.asset(path.removeprefix("/"))
    return lambda request: Response(text, headers=SECURITY, media_type=kind)
