"""Actors that note when they compute, apart from the calls of Ray and of the controller."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.inference.server import InferenceServer
from cluster.learner.rank import LearnerRank
from cluster.rollout.worker import RolloutWorker
from cluster.weights.sync import Policy

NOTES = "PHYSRL_NOTED_WORK"
"""Environment variable that names the folder of notes; actors inherit it."""


@dataclass(frozen=True)
class Work:
    """An interval in which an actor computed; times in seconds since 1970."""

    kind: str
    start: float
    end: float


def read_notes() -> list[Work]:
    """Read the notes of all actors."""
    lines = [
        line for file in Path(os.environ[NOTES]).iterdir() for line in file.read_text().splitlines()
    ]
    return [Work(kind, float(start), float(end)) for kind, start, end in map(str.split, lines)]


@contextmanager
def noted(kind: str) -> Iterator[None]:
    """Note the block's duration."""
    start = time.time()
    yield
    with (Path(os.environ[NOTES]) / str(os.getpid())).open("a") as notes:
        notes.write(f"{kind} {start} {time.time()}\n")


def note(owner: Any, name: str, kind: str) -> None:
    """Note every call of the owner's function."""
    original: Callable[..., Any] = getattr(owner, name)

    def counted(*arguments: Any, **others: Any) -> Any:
        with noted(kind):
            return original(*arguments, **others)

    setattr(owner, name, counted)


class NotingWorker(RolloutWorker):
    """Notes simulation."""

    def act(self, *arguments: Any) -> Any:
        with noted("simulation"):
            return super().act(*arguments)


class NotingServer(InferenceServer):
    """Notes generation, and loads of new weights."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        note(self._loop, "generate", "generation")
        note(self._loop, "load", "sync")

    def generate(self, policy: Policy, *others: Any) -> Any:
        self.load(policy)  # before, so that generation holds no sync
        return super().generate(policy, *others)


class NotingRank(LearnerRank):
    """Notes forward and backward passes, the optimizer, and gathering of weights."""

    def load(self, *arguments: Any) -> None:
        from physrl.models import logprobs

        super().load(*arguments)
        if not hasattr(logprobs, "noted"):
            note(logprobs, "last_hidden", "learner")
            note(logprobs, "token_scores", "learner")
            logprobs.noted = True  # type: ignore[attr-defined]
        note(self._engine, "backward", "learner")
        note(self._engine, "step", "learner")

    def weights(self) -> Any:
        with noted("sync"):
            return super().weights()
