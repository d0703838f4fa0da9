"""One local Ray cluster for all tests of the runtime."""

from collections.abc import Callable, Iterator

import pytest

from cluster.runtime import session  # before Ray itself: it sets the token
from cluster.runtime.event_loop import EventLoop
from cluster.runtime.placement import Placement
from physrl.config.runtime import RuntimeConfig


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "announced_address", lambda: None)  # that of another process
        # Cores on paper: runs of several modules have theirs reserved at once.
        with session.ray_session(RuntimeConfig(rollout_workers=32)):
            yield


@pytest.fixture(scope="session")
def event_loop_thread() -> Iterator[EventLoop]:
    loop = EventLoop()
    yield loop
    loop.stop()


@pytest.fixture(scope="module")
def reserve(ray_cluster: None) -> Iterator[Callable[[RuntimeConfig], Placement]]:
    """Return a function that reserves a placement until the end of the module."""
    reserved = []

    def take(runtime: RuntimeConfig) -> Placement:
        reserved.append(Placement.reserve(runtime))
        return reserved[-1]

    yield take
    for placement in reserved:
        placement.release()
