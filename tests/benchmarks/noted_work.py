"""Actors that note when they really work, apart from Ray's calls and the controller's."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.inference.server import InferenceServer
from cluster.learner.group import LearnerRank
from cluster.rollout.worker import RolloutWorker

NOTES = "PHYSRL_NOTED_WORK"
"""The environment variable that names the folder of notes; actors inherit it."""


@dataclass(frozen=True)
class Work:
    """Something real that was done."""

    kind: str
    start: float
    end: float


def read_notes() -> list[Work]:
    """What all actors have noted."""
    lines = [
        line for file in Path(os.environ[NOTES]).iterdir() for line in file.read_text().splitlines()
    ]
    return [Work(kind, float(start), float(end)) for kind, start, end in map(str.split, lines)]


@contextmanager
def noted(kind: str) -> Iterator[None]:
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

    def roll_out(self, *arguments: Any) -> Any:
        with noted("simulation"):
            return super().roll_out(*arguments)


class NotingServer(InferenceServer):
    """Notes generation, and taking weights."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        note(self._loop, "generate", "generation")
        note(self._loop, "between", "sync")


class NotingRank(LearnerRank):
    """Notes forward and backward passes, the optimizer, and giving weights."""

    def load(self, config: Any) -> None:
        from physrl.models import logprobs

        super().load(config)
        if not hasattr(logprobs, "noted"):
            note(logprobs, "last_hidden", "learner")
            note(logprobs, "token_scores", "learner")
            logprobs.noted = True  # type: ignore[attr-defined]
        note(self._engine, "backward", "learner")
        note(self._engine, "step", "learner")

    def adapter(self) -> Any:
        with noted("sync"):
            return super().adapter()

    def weights(self) -> Any:
        with noted("sync"):
            return super().weights()
