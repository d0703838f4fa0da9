"""What actors raise is the user's mistake, transient or ours, and each is handled in its way."""

import asyncio
import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.exceptions import RayError

from cluster.learner.rank import LearnerRank
from cluster.learner.ranks import Ranks
from cluster.runtime.actor_pool import ActorPool
from cluster.runtime.faults import Fault, classify, user_error
from cluster.runtime.placement import Placement
from physrl import errors
from physrl.config.runtime import RuntimeConfig
from physrl.errors import ConfigError, LearnerLostError, LostError, PhysRLError, UserError
from physrl.tracing import Trace

USERS = [
    kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, UserError)
]
CASES: dict[str, tuple[Exception, Fault]] = {
    **{kind.__name__: (kind("data is 'x': set data=null"), "user") for kind in USERS},
    "port": (OSError(errno.EADDRINUSE, "Address already in use"), "transient"),
    "torch port": (
        RuntimeError(
            "The server socket has failed to listen on any local network address. port: 33253, "
            "useIpv6: false, code: -98, name: EADDRINUSE, message: address already in use"
        ),
        "transient",
    ),
    "reset": (ConnectionResetError("Connection reset by peer"), "transient"),
    "gloo": (RuntimeError("[pair.cc:553] Connection closed by peer [10.0.0.1]:1"), "transient"),
    "timeout": (TimeoutError("too slow"), "transient"),
    "key": (KeyError("adapter"), "ours"),
    "memory": (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "ours"),
    "assertion": (AssertionError(), "ours"),
    "other": (PhysRLError("a breach of a contract"), "ours"),
    "disk": (OSError(errno.ENOSPC, "No space left on device"), "ours"),
}


class Raiser:
    """An actor that raises a given error, in its constructor or in a call."""

    def __init__(self, error: Exception | None) -> None:
        if error is not None:
            raise error

    def ready(self) -> None: ...

    def work(self, error: Exception) -> None:
        raise error


@pytest.mark.parametrize("name", CASES)
def test_hunted_error_of_an_actor_is_classified(name: str, ray_cluster: None) -> None:
    error, expected = CASES[name]
    assert classify(error) == expected
    remote = ray.remote(Raiser).options(num_cpus=0)
    calls = (
        lambda: remote.remote(None).work.remote(error),
        lambda: remote.remote(error).ready.remote(),
    )
    for call in calls:
        with pytest.raises((RayError, type(error))) as caught:
            ray.get(call())
        assert classify(caught.value) == expected
        mistake = user_error(caught.value)
        if expected == "user":
            assert type(mistake) is type(error)
            assert str(mistake) == str(error)
        else:
            assert mistake is None


def test_hunted_killed_actor_is_transient(ray_cluster: None) -> None:
    class Dies:
        def work(self) -> None:
            os._exit(1)

    with pytest.raises(ray.exceptions.RayActorError) as caught:
        ray.get(ray.remote(Dies).options(num_cpus=0).remote().work.remote())
    assert classify(caught.value) == "transient"


class Starts:
    """An actor whose first starts fail."""

    def __init__(self, orders: Path, error: Exception, failures: int) -> None:
        tried = len(list(orders.iterdir()))
        (orders / str(tried)).touch()
        if tried < failures:
            raise error

    def ready(self) -> None: ...


@pytest.mark.parametrize(
    ("name", "failures", "starts", "raised"),
    [
        ("port", 1, 2, None),
        ("torch port", 2, 3, None),
        ("torch port", 9, 3, LostError),
        ("key", 1, 1, LostError),
        ("ConfigError", 1, 1, ConfigError),
    ],
)
def test_hunted_pool_retries_what_is_transient(
    name: str, failures: int, starts: int, raised: type[Exception] | None, tmp_path: Path,
    ray_cluster: None, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("cluster.runtime.actor_pool.MAX_BACKOFF_S", 0.01)
    actor, error = ray.remote(Starts).options(num_cpus=0), CASES[name][0]

    async def start() -> None:
        pool = ActorPool(
            "server",
            lambda _: actor.remote(tmp_path, error, failures),
            1,
            load_each=1,
            timeout_s=60,
            start_timeout_s=60,
            trace=Trace(),
        )
        try:
            await pool.started()
        finally:
            pool.stop()

    if raised is None:
        asyncio.run(start())
    else:
        with pytest.raises(raised) as caught:
            asyncio.run(start())
        assert type(caught.value) is raised
    assert len(list(tmp_path.iterdir())) == starts


class Unlucky(LearnerRank):
    """A rank that raises what a file says."""

    def __init__(self, rank: int, threads: int) -> None: ...

    def update(self, step: int, profile: Path | None, *parts: Any) -> Any:
        raise CASES[parts[0]][0]


@pytest.fixture(scope="module")
def ranks(ray_cluster: None) -> Iterator[Ranks]:
    runtime = RuntimeConfig(learner_ranks=2)
    ranks = Ranks(runtime, Placement.unreserved(runtime), Unlucky)
    yield ranks
    ranks.stop()


@pytest.mark.parametrize(
    ("name", "raised"),
    [
        ("torch port", LearnerLostError),
        ("reset", LearnerLostError),
        ("DataError", errors.DataError),
        ("key", KeyError),
    ],
)
def test_hunted_error_of_a_rank_restarts_ends_or_explains(
    name: str, raised: type[Exception], ranks: Ranks
) -> None:
    with pytest.raises(raised):
        ranks.call("update", 0, None, name)


def test_hunted_port_of_the_ranks_is_held_from_its_choice_on() -> None:
    from physrl.models.deepspeed_engine import open_store

    stores = [open_store("", 0, 1, serves=True) for _ in range(5)]
    ports = {store.port for store in stores}
    assert len(ports) == 5
    for port in ports:
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("0.0.0.0", port))
    client = open_store("127.0.0.1", stores[0].port, 1, serves=False)
    stores[0].set("who", "first")
    assert client.get("who") == b"first"
