"""What would end a submission minutes later, found before it.

python -m jobs.checks.submission [--folder .] [--name RUN] [--config FILE]

and then `ray job submit --working-dir .`, as `make submit-train` does.

The cluster's address and token are those that `ray job submit` reads: RAY_API_SERVER_ADDRESS or
RAY_ADDRESS, RAY_AUTH_MODE, RAY_AUTH_TOKEN.
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
"""What Ray's head takes of a working directory, packed; files that compress may be more."""
LONGEST_NAME = 47
"""Of a RayJob: KubeRay makes longer names and labels of it."""
_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
FORWARD = "kubectl port-forward svc/NAME-head-svc 8265 and RAY_ADDRESS=http://localhost:8265"


def check_cluster(environment: Mapping[str, str]) -> None:
    """Refuse a cluster that does not answer, or not to this token.

    Raises:
        UserError: with the address and the remedy; never with the token.
    """
    address = environment.get("RAY_API_SERVER_ADDRESS") or environment.get("RAY_ADDRESS") or ""
    if not re.fullmatch(r"https?://[^\s/@]+/?", address):
        raise UserError(
            f"RAY_ADDRESS is '{address}': name the dashboard of the cluster, such as "
            f"http://localhost:8265 ({FORWARD})"
        )
    token = environment.get("RAY_AUTH_TOKEN", "")
    if environment.get("RAY_AUTH_MODE") != "token":
        token = ""  # as Ray's own client has it
    status = _status(address, token)
    if status == 401:
        raise UserError(
            f"the cluster at {address} asks for a token: set RAY_AUTH_MODE=token and "
            "RAY_AUTH_TOKEN to the one in its Secret (auth_token)"
        )
    if status == 403:
        raise UserError(
            f"the cluster at {address} refuses RAY_AUTH_TOKEN: it is of another cluster, or was "
            "changed; take it from the Secret again (auth_token)"
        )
    if status != 200:
        raise UserError(
            f"{address} answers with status {status} and is no Ray dashboard: check RAY_ADDRESS"
        )


def _status(address: str, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(f"{address.rstrip('/')}/api/jobs/", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=ADDRESS_SECONDS) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise UserError(
            f"no Ray dashboard answers at {address} ({reason}): check RAY_ADDRESS and the network; "
            f"on Kubernetes {FORWARD}"
        ) from None


def check_folder(folder: Path) -> None:
    """Refuse a working directory that Ray would not take.

    Raises:
        UserError: with its size and what makes it large.
    """
    if not folder.is_dir():
        raise UserError(f"--folder is {folder}: there is no such folder; name the project's")
    sizes = Counter[str]()
    for path in _sent(folder):
        sizes[path.parts[0]] += (folder / path).stat().st_size
    if sizes.total() > LARGEST_BYTES:
        name, size = sizes.most_common(1)[0]
        raise UserError(
            f"working directory {folder} has {_mb(sizes.total())} to send and Ray takes "
            f"{_mb(LARGEST_BYTES)}, of which {name} is {_mb(size)}: name it in .gitignore, or "
            "submit from another folder"
        )


def check_config(folder: Path, config: str) -> None:
    """Refuse a file that the job would not find in its working directory.

    Raises:
        UserError: with the file.
    """
    if Path(os.path.normpath(config)) not in _sent(folder):
        raise UserError(
            f"--config is '{config}', which is not sent with working directory {folder}: name a "
            "file by its path within that folder, one that .gitignore does not name, such as "
            "jobs/configs/demo.yaml"
        )


def _sent(folder: Path) -> list[Path]:
    """The files that git does not ignore, which are those that Ray sends; without git, all."""
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


def _mb(size: int) -> str:
    return f"{size / (1 << 20):.0f} MiB"


def check_name(name: str) -> None:
    """Refuse what KubeRay takes for no name of a RayJob.

    Raises:
        UserError: with the name.
    """
    if len(name) > LONGEST_NAME or not _NAME.fullmatch(name):
        raise UserError(
            f"the name '{name}' ({len(name)} characters) is none that Kubernetes takes: at most "
            f"{LONGEST_NAME} lower-case letters, digits and hyphens, a letter first"
        )


def main(
    folder: Annotated[Path, typer.Option(help="What is sent as the working directory.")] = Path(),
    name: Annotated[str | None, typer.Option(help="The run's, held against Kubernetes.")] = None,
    config: Annotated[str | None, typer.Option(help="The run's, which has to be sent.")] = None,
) -> None:
    """Check what `ray job submit` will need; exit code 2 and one line where it is not there."""
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
