"""The page of a run's rollouts, and the images that they were shown."""

from importlib.util import find_spec

from starlette.requests import Request
from starlette.responses import Response

from jobs.watch.run_page import chosen_run, gone
from jobs.watch.site import SECURITY, Site


def rollouts_page(site: Site, request: Request) -> Response:
    """Show a page of rollouts that match the address."""
    if find_spec("pyarrow") is None:  # as on the light client
        return site.message(request, 501, "rollouts are in Parquet files: pip install pyarrow")
    from jobs.watch import rollouts

    run = chosen_run(site, request)
    if run is None:
        return gone(site, request)
    asked = request.query_params
    try:
        wanted = rollouts.Search(
            kind=asked.get("kind") or "all",
            text=asked.get("text", ""),
            first=int(asked.get("first") or 1),
            last=int(asked.get("last") or 2**31),
            page=max(0, int(asked.get("page") or 0)),
        )
    except ValueError:
        return site.message(request, 400, "first, last and page are whole numbers")
    if wanted.kind not in rollouts.KINDS:
        kinds = ", ".join(rollouts.KINDS)
        return site.message(request, 400, f"show is '{wanted.kind}': choose {kinds}")
    return site.page(
        request,
        "rollouts",
        f"Rollouts of {run.location.rpartition('/')[2]}",
        run=run.location,
        wanted=wanted,
        kinds=rollouts.KINDS,
        steps=rollouts.steps(run),
        found=rollouts.search(run, wanted),
    )


def image(site: Site, request: Request) -> Response:
    """Send the image that an attempt was shown."""
    from jobs.watch import rollouts

    run, asked = chosen_run(site, request), request.query_params
    number = {name: asked.get(name, "") for name in ("step", "attempt")}
    if run is None or not all(text.isdecimal() and len(text) < 10 for text in number.values()):
        return Response(status_code=404, headers=SECURITY)
    step, attempt = (int(text) for text in number.values())
    found = rollouts.image(run, step, asked.get("scene", ""), attempt)
    status = 404 if found is None else 200
    return Response(found, status, headers=SECURITY, media_type="image/png")
