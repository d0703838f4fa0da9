"""Whether this container is well: where a Ray node runs in it, the node's agent must say so."""

import socket
import urllib.request

AGENT = ("127.0.0.1", 52365)


def main() -> None:
    """Succeed without a Ray node; fail where there is one that does not answer or is not well."""
    try:
        socket.create_connection(AGENT, timeout=2).close()
    except ConnectionRefusedError:
        return
    urllib.request.urlopen(f"http://{AGENT[0]}:{AGENT[1]}/api/healthz", timeout=5).close()


if __name__ == "__main__":
    main()
