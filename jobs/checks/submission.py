"""Checks of a submission to a Ray cluster, before it is sent.

python -m jobs.checks.submission [--folder .] [--name RUN] [--config FILE]

`make submit-train` runs it before `ray job submit --working-dir .`, which reads the cluster's
address and token from the same variables: RAY_API_SERVER_ADDRESS or RAY_ADDRESS, RAY_AUTH_MODE,
RAY_AUTH_TOKEN.
"""

import http.client
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from jobs.checks.working_directory import check_config, check_folder
from jobs.last_resort import last_resort
from physrl.errors import UserError
from physrl.storage.passwords import without_password

ADDRESS_SECONDS = 5
LONGEST_TEXT = 2000
LOOPBACK = ("localhost", "127.0.0.1", "::1")
RAYS_OWN = re.compile("authentication token")
"""Text of Ray's own refusals, which a proxy's do not have."""
LONGEST_NAME = 47
"""Characters of a RayJob's name, which KubeRay extends to other names and labels."""
_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
FORWARD = "kubectl port-forward svc/NAME-head-svc 8265 and RAY_ADDRESS=http://localhost:8265"


def check_cluster(environment: Mapping[str, str]) -> None:
    """Refuse a cluster that does not answer, or refuses the token.

    Raises:
        UserError: names the address and the remedy, never the token.
    """
    address = environment.get("RAY_API_SERVER_ADDRESS") or environment.get("RAY_ADDRESS") or ""
    if not re.fullmatch(r"https?://[^\s/@]+/?", address):
        raise UserError(
            f"RAY_ADDRESS is '{address}': set it to the URL of the cluster's dashboard, such as "
            f"http://localhost:8265 ({FORWARD})"
        )
    proxy = _proxy_of(address)
    host = urllib.parse.urlsplit(address).hostname or ""
    if proxy and host in LOOPBACK:
        raise UserError(
            f"the proxy {without_password(proxy)} of this environment would get the requests to "
            f"{address}, and the token: set NO_PROXY={host}"
        )
    token = environment.get("RAY_AUTH_TOKEN", "")
    if environment.get("RAY_AUTH_MODE") != "token":
        token = ""  # as in Ray's own client
    status, text = _answer(address, token)
    if proxy and (status == 407 or (status in (401, 403) and not RAYS_OWN.search(text))):
        raise UserError(
            f"the proxy {without_password(proxy)} refuses the requests to {address} (status "
            f"{status}): set NO_PROXY={host}, or the proxy's user in its URL"
        )
    if status == 401:
        raise UserError(
            f"the cluster at {address} requires a token: set RAY_AUTH_MODE=token and "
            "RAY_AUTH_TOKEN to the one in its Secret (auth_token)"
        )
    if status == 403:
        raise UserError(
            f"the cluster at {address} refuses RAY_AUTH_TOKEN, which belongs to another cluster or "
            "has changed: read it from the Secret again (auth_token)"
        )
    if status != 200:
        raise UserError(f"{address} is not a Ray dashboard (status {status}): check RAY_ADDRESS")


def _proxy_of(address: str) -> str | None:
    """Return the proxy that requests to an address go through; Ray's client follows the same."""
    parts = urllib.parse.urlsplit(address)
    bypassed = urllib.request.proxy_bypass(parts.hostname or "")
    return None if bypassed else urllib.request.getproxies().get(parts.scheme)


def _answer(address: str, token: str) -> tuple[int, str]:
    """Return the status and the beginning of the text that answer a list of jobs."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    opener = urllib.request.build_opener()  # with the proxies of the present environment
    request = urllib.request.Request(f"{address.rstrip('/')}/api/jobs/", headers=headers)
    try:
        with opener.open(request, timeout=ADDRESS_SECONDS) as response:
            return int(response.status), ""
    except urllib.error.HTTPError as error:
        with suppress(Exception):  # the text only helps
            return error.code, error.read(LONGEST_TEXT).decode(errors="replace")
        return error.code, ""
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise UserError(
            f"no Ray dashboard answers at {address} ({reason}): check RAY_ADDRESS and the network; "
            f"on Kubernetes {FORWARD}"
        ) from None


def check_name(name: str) -> None:
    """Refuse an invalid name of a RayJob.

    Raises:
        UserError: names it.
    """
    if len(name) > LONGEST_NAME or not _NAME.fullmatch(name):
        raise UserError(
            f"RUN is '{name}' ({len(name)} characters), not a valid Kubernetes name: use at most "
            f"{LONGEST_NAME} lower-case letters, digits and hyphens, starting with a letter"
        )


def main(
    folder: Annotated[Path, typer.Option(help="Working directory to send.")] = Path(),
    name: Annotated[str | None, typer.Option(help="Name of the run, for Kubernetes.")] = None,
    config: Annotated[str | None, typer.Option(help="Configuration file of the run.")] = None,
) -> None:
    """Check a submission; on a mistake print one line and exit with code 2."""
    with last_resort():
        if name is not None:
            check_name(name)
        check_folder(folder)
        if config is not None:
            check_config(folder, config)
        check_cluster(os.environ)


if __name__ == "__main__":
    typer.run(main)
