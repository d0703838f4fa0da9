"""Scenes that fail: which errors exclude a scene, and which are retried or raised."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import ObjectLostError

from cluster.rollout.quarantine import Quarantine
from physrl.errors import GenerationError, LostCallError, LostError, SimulationError

SOURCE: Any = SimpleNamespace(scene_id=lambda index: f"scene-{index}")


class Computation:
    """A computation that raises errors one after the other, then returns 7."""

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)
        self.calls = 0

    async def __call__(self) -> int:
        self.calls += 1
        if self._errors:
            raise self._errors.pop(0)
        return 7


def guard(quarantine: Quarantine, index: int, compute: Computation) -> int | None:
    return asyncio.run(quarantine.guard(SOURCE, index, compute))


def lost_object() -> ObjectLostError:
    return ObjectLostError("00ff", None, "")


@pytest.mark.parametrize("error", [LostCallError("act failed"), SimulationError("act failed")])
def test_a_failing_scene_is_excluded_and_not_computed_again(error: Exception) -> None:
    quarantine, compute = Quarantine(), Computation(error)
    assert guard(quarantine, 3, compute) is None
    assert quarantine.scenes == {"scene-3": "act failed"}
    assert guard(quarantine, 3, compute) is None
    assert compute.calls == 1
    assert guard(quarantine, 4, compute) == 7


def test_lost_objects_are_computed_again() -> None:
    quarantine, compute = Quarantine(), Computation(lost_object(), lost_object())
    assert guard(quarantine, 3, compute) == 7
    assert compute.calls == 3
    assert quarantine.scenes == {}


def test_objects_that_are_lost_in_every_attempt_are_an_error() -> None:
    quarantine, compute = Quarantine(), Computation(*(lost_object() for _ in range(9)))
    with pytest.raises(LostError, match="scene-3"):
        guard(quarantine, 3, compute)
    assert compute.calls == 3
    assert quarantine.scenes == {}


def test_other_errors_are_raised() -> None:
    quarantine = Quarantine()
    with pytest.raises(GenerationError):
        guard(quarantine, 3, Computation(GenerationError("prompt too long")))
    assert quarantine.scenes == {}
