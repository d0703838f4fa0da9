"""One local Ray cluster for all tests of the runtime."""

from collections.abc import Iterator

import pytest

from cluster.session import ray_session  # before Ray itself: it sets the token
from physrl.config.run import RuntimeConfig


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    with ray_session(RuntimeConfig()):
        yield
