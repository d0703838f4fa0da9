"""A queue of calls: real actors that fail, die and come back."""

import os
from pathlib import Path
from typing import Any

import pytest
import ray

from cluster.study.work_queue import ATTEMPTS, Finished, Work, run_all


class Counter:
    """Leaves a mark for each call, and fails as it is told to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def do(self, name: str, failures: int, how: str) -> None:
        tries = len(list(self._folder.glob(f"{name}.*")))
        (self._folder / f"{name}.{tries}").touch()
        if tries >= failures:
            return
        if how == "crash":
            os._exit(1)
        raise ValueError(f"{name} is wrong\nin two lines")


@pytest.fixture
def actors(ray_cluster: None, tmp_path: Path) -> Any:
    made = ray.remote(Counter).options(num_cpus=0.1, max_restarts=ATTEMPTS)
    handles = [made.remote(tmp_path) for _ in range(2)]
    yield handles
    for handle in handles:
        ray.kill(handle)


def work(name: str, failures: int = 0, how: str = "error") -> Work:
    return Work(name, f"work {name}", "do", (name, failures, how))


def test_everything_is_done_once_and_what_fails_again(actors: Any, tmp_path: Path) -> None:
    works = [work("a"), work("b", 1), work("c", 1, "crash"), work("d"), work("e", ATTEMPTS)]
    events = list(run_all(actors, works))
    finished = {event.work.key: event for event in events if isinstance(event, Finished)}
    tries = {key: event.work.tries for key, event in finished.items()}
    # A call may meet an actor that is dying of another.
    assert 2 <= tries.pop("c") <= ATTEMPTS
    assert tries == {"a": 1, "b": 2, "d": 1, "e": ATTEMPTS}
    assert {key: event.failure for key, event in finished.items() if event.failure} == {
        "e": "ValueError: in two lines"
    }
    for key, event in finished.items():
        assert 1 <= len(list(tmp_path.glob(f"{key}.*"))) <= event.work.tries
    begun = [event.key for event in events if isinstance(event, Work)]
    assert begun[:2] == ["a", "b"]
    assert len(begun) == sum(event.work.tries for event in finished.values())


def test_nothing_to_do_is_done(actors: Any) -> None:
    assert list(run_all(actors, [])) == []
