"""Checks of a submission to a Ray cluster, before it is sent.

python -m jobs.checks.submission [--folder .] [--name RUN] [--config FILE]

`make submit-train` runs it before `ray job submit --working-dir .`, which reads the cluster's
address and token from the same variables: RAY_API_SERVER_ADDRESS or RAY_ADDRESS, RAY_AUTH_MODE,
RAY_AUTH_TOKEN.
"""

import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from physrl.errors import UserError

ADDRESS_SECONDS = 5
LARGEST_BYTES = 512 << 20
"""Largest packed working directory that Ray's head accepts; compressible files may be larger."""
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
    token = environment.get("RAY_AUTH_TOKEN", "")
    if environment.get("RAY_AUTH_MODE") != "token":
        token = ""  # as in Ray's own client
    status = _status(address, token)
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


def _status(address: str, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(f"{address.rstrip('/')}/api/jobs/", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=ADDRESS_SECONDS) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise UserError(
            f"no Ray dashboard answers at {address} ({reason}): check RAY_ADDRESS and the network; "
            f"on Kubernetes {FORWARD}"
        ) from None


def check_folder(folder: Path) -> None:
    """Refuse a working directory that is too large for Ray.

    Raises:
        UserError: names its size and its largest entry.
    """
    if not folder.is_dir():
        raise UserError(f"--folder is {folder}: no such folder; name the project's")
    sizes = Counter[str]()
    for path in _sent_files(folder):
        sizes[path.parts[0]] += (folder / path).stat().st_size
    if sizes.total() > LARGEST_BYTES:
        name, size = sizes.most_common(1)[0]
        raise UserError(
            f"working directory {folder} is {_mib(sizes.total())}, more than Ray's limit of "
            f"{_mib(LARGEST_BYTES)}; {name} is {_mib(size)}: list it in .gitignore, or submit from "
            "another folder"
        )


def check_config(folder: Path, config: str) -> None:
    """Refuse a configuration file that is not sent with the working directory.

    Raises:
        UserError: names the file.
    """
    if Path(os.path.normpath(config)) not in _sent_files(folder):
        raise UserError(
            f"--config is '{config}', which is not sent with working directory {folder}: give the "
            "relative path of a file in that folder that .gitignore does not exclude, such as "
            "jobs/configs/demo.yaml"
        )


def _sent_files(folder: Path) -> list[Path]:
    """List the files that Ray sends: those that git does not ignore; without git, all."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=folder,
        capture_output=True,
        check=False,
    )
    if listing.returncode:
        return [p.relative_to(folder) for p in folder.rglob("*") if p.is_file()]
    names = os.fsdecode(listing.stdout).split("\0")
    return [Path(name) for name in names if name and (folder / name).is_file()]


def _mib(size: int) -> str:
    return f"{size / (1 << 20):.0f} MiB"


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
    try:
        if name is not None:
            check_name(name)
        check_folder(folder)
        if config is not None:
            check_config(folder, config)
        check_cluster(os.environ)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(2) from None


if __name__ == "__main__":
    typer.run(main)
