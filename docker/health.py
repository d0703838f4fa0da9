"""Health check of a container: where it runs a Ray node, the node's agent must be healthy."""

import socket
import urllib.request

AGENT = ("127.0.0.1", 52365)


def main() -> None:
    """Succeed without a Ray node; fail where its agent does not answer or is unhealthy."""
    try:
        socket.create_connection(AGENT, timeout=2).close()
    except ConnectionRefusedError:
        return
    urllib.request.urlopen(f"http://{AGENT[0]}:{AGENT[1]}/api/healthz", timeout=5).close()


if __name__ == "__main__":
    main()
