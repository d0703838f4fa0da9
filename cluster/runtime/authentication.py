"""Who may use a local Ray cluster: only those who know this process's token."""

import os
import secrets
from pathlib import Path


def announced_address() -> str | None:
    """The cluster to join, which the environment or `ray start` on this machine names."""
    announced = Path(os.environ.get("RAY_TMPDIR", "/tmp")) / "ray" / "ray_current_cluster"
    if "RAY_ADDRESS" in os.environ:
        return os.environ["RAY_ADDRESS"]
    return announced.read_text().strip() if announced.exists() else None


def cluster_announced() -> bool:
    """Whether there is a cluster to join."""
    return announced_address() is not None


def announce_token() -> None:
    """Give a local cluster that is yet to start a token of its own.

    A running cluster has its own, which its user put into the environment; and Ray would write a
    token into the home folder of a user who has none.
    """
    if not cluster_announced():
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
