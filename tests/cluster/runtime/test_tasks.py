"""The limit on concurrent tasks, with a fake of Ray that finishes the newest task first."""

from typing import Any

import pytest

from cluster.runtime import tasks
from cluster.runtime.tasks import run_tasks


class FakeRay:
    """A stand-in for Ray and for a remote function; a reference is the task's argument."""

    def __init__(self) -> None:
        self.running: list[int] = []
        self.most = 0

    def remote(self, argument: int) -> int:
        self.running.append(argument)
        self.most = max(self.most, len(self.running))
        return argument

    def wait(self, references: list[int], num_returns: int) -> tuple[list[int], list[int]]:
        assert references == self.running
        return [self.running.pop()], self.running


@pytest.mark.parametrize(
    ("at_once", "order"), [(1, [0, 1, 2, 3]), (2, [1, 2, 3, 0]), (9, [3, 2, 1, 0])]
)
def test_at_most_so_many_tasks_run_at_once(
    at_once: int, order: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    ray: Any = FakeRay()
    monkeypatch.setattr(tasks, "ray", ray)
    events = list(run_tasks(ray, [(10 * n,) for n in range(4)], at_once))
    assert [index for index, done in events if done is None] == [0, 1, 2, 3]
    assert [(index, done) for index, done in events if done is not None] == [
        (n, 10 * n) for n in order
    ]
    assert ray.most == min(at_once, 4)


def test_a_task_is_announced_before_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    ray: Any = FakeRay()
    monkeypatch.setattr(tasks, "ray", ray)
    events = run_tasks(ray, [(1,)], at_once=1)
    assert next(events) == (0, None)
    assert ray.running == []
