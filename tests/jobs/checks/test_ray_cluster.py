import socket

import pytest

from jobs.checks import ray_cluster
from jobs.checks.ray_cluster import check_cluster, check_dashboard
from physrl.config.runtime import RuntimeConfig
from physrl.errors import UserError
from tests.support.ports import free_port


def test_a_cluster_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"127.0.0.1:{free_port()}"
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(UserError, match=address):
        check_cluster()


@pytest.mark.parametrize("joined", [False, True])
def test_a_joined_clusters_dashboard_may_hold_the_port(
    joined: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_cluster, "announced_address", lambda: "auto" if joined else None)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        runtime = RuntimeConfig(dashboard=True, dashboard_port=port)
        if joined:
            check_dashboard(runtime)
            return
        with pytest.raises(UserError, match=rf"runtime\.dashboard_port is {port}"):
            check_dashboard(runtime)
    check_dashboard(runtime)
