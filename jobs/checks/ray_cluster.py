"""Checks of the Ray cluster that a command joins or starts."""

import socket

from cluster.runtime.authentication import announced_address
from physrl.config.runtime import RuntimeConfig
from physrl.errors import UserError

CONNECT_SECONDS = 5


def check_cluster() -> None:
    """Refuse a cluster to join that does not answer; Ray itself would retry for minutes.

    Raises:
        UserError: names the address.
    """
    address = announced_address()
    if address is None:
        return
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdecimal():
        return  # such as `auto`, which Ray resolves
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        raise UserError(
            f"no Ray cluster answers at {address} ({error.strerror or error}), which RAY_ADDRESS "
            "or an earlier `ray start` names: start it, or unset RAY_ADDRESS and run `ray stop`"
        ) from None


def check_dashboard(runtime: RuntimeConfig) -> None:
    """Refuse a dashboard port in use; the dashboard of a cluster to join may hold it.

    Raises:
        UserError: names the port.
    """
    if not runtime.dashboard or announced_address() is not None:
        return
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", runtime.dashboard_port))
        except OSError:
            raise UserError(
                f"runtime.dashboard_port is {runtime.dashboard_port}: the port is in use; choose "
                "another, or set runtime.dashboard=false"
            ) from None
