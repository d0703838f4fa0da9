"""Who may use a local Ray cluster: only those who know this process's token."""

import os
import secrets
from pathlib import Path


def cluster_announced() -> bool:
    """Whether the environment, or `ray start` on this machine, names a cluster to join."""
    announced = Path(os.environ.get("RAY_TMPDIR", "/tmp")) / "ray" / "ray_current_cluster"
    return "RAY_ADDRESS" in os.environ or announced.exists()


def announce_token() -> None:
    """Give a local cluster that is yet to start a token of its own.

    A running cluster has its own, which its user put into the environment; and Ray would write a
    token into the home folder of a user who has none.
    """
    if not cluster_announced():
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
