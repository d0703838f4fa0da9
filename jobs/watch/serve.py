"""Serve the pages on this machine alone."""

import socket
from collections.abc import Sequence

import uvicorn

from jobs.display.console import console
from jobs.watch.app import make_app
from jobs.watch.places import check_places
from physrl.errors import UserError

HOST = "127.0.0.1"


def run(places: Sequence[str], port: int) -> None:
    """Serve until interrupted.

    Args:
        port: 0 chooses a free one.

    Raises:
        DataError: a folder does not exist.
        UserError: the port is in use.
    """
    check_places(places)
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError as error:
            raise UserError(
                f"--port is {port}: {error.strerror}: name another, or 0 for a free one"
            ) from None
        listener.listen()  # so that a browser that is quicker than the server waits
        console.print(f"http://{HOST}:{listener.getsockname()[1]}/ (Ctrl+C ends it)")
        config = uvicorn.Config(make_app(places), log_level="error", access_log=False)
        uvicorn.Server(config).run(sockets=[listener])
