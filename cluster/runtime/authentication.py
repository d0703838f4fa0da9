"""Token authentication of a local Ray cluster, so that no other user can run code on it."""

import os
import secrets
from pathlib import Path


def announced_address() -> str | None:
    """Find the address of a running cluster, from RAY_ADDRESS or `ray start` on this machine."""
    announced = Path(os.environ.get("RAY_TMPDIR", "/tmp")) / "ray" / "ray_current_cluster"
    if "RAY_ADDRESS" in os.environ:
        return os.environ["RAY_ADDRESS"]
    return announced.read_text().strip() if announced.exists() else None


def set_local_token() -> None:
    """Generate the token of the local cluster that this process may start.

    The token of a running cluster is set by its user instead. Without any, Ray would write one into
    the user's home folder.
    """
    if announced_address() is None:
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
