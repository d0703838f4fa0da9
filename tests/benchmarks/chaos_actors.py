"""Actors that do to themselves, once and in the middle of their work, what a file orders."""

import os
import random
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cluster.inference.server import InferenceServer
from cluster.learner.group import LearnerRank
from cluster.rollout.worker import RolloutWorker
from physrl.types import SceneSpec

ORDERS = "PHYSRL_CHAOS_ORDERS"
"""The environment variable that names the folder of orders; actors inherit it."""


def ordered(name: str) -> bool:
    """Whether there is such an order; it is taken back, so that one actor carries it out."""
    try:
        (Path(os.environ[ORDERS]) / name).unlink()
    except FileNotFoundError:
        return False
    return True


def die_soon(longest_s: float) -> None:
    """SIGKILL after a while; the time of death is left in a file."""

    def die() -> None:
        time.sleep(random.uniform(0, longest_s))
        (Path(os.environ[ORDERS]) / "died").write_text(str(time.time()))
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=die, daemon=True).start()


class ChaoticWorker(RolloutWorker):
    """Dies within a simulation, hangs, or meets a scene that kills it every time."""

    def roll_out(self, source: Any, scenes: Sequence[SceneSpec], *others: Any) -> Any:
        if ordered("kill-worker"):
            die_soon(0.02)
            time.sleep(0.03)  # within the call, however fast it is
        if ordered("hang-worker"):
            (Path(os.environ[ORDERS]) / "died").write_text(str(time.time()))
            time.sleep(3600)
        poison = Path(os.environ[ORDERS]) / "poison"
        if poison.exists() and any(scene.index == int(poison.read_text()) for scene in scenes):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().roll_out(source, scenes, *others)


class ChaoticServer(InferenceServer):
    """Dies within a group."""

    def generate(self, *arguments: Any) -> Any:
        if not ordered("kill-server"):
            return super().generate(*arguments)
        die_soon(0.1)
        super().generate(*arguments)
        time.sleep(1)  # within the call, however fast it is
        raise AssertionError


class ChaoticRank(LearnerRank):
    """One of the ranks dies within a step."""

    def update(self, *arguments: Any) -> Any:
        if not ordered("kill-rank"):
            return super().update(*arguments)
        die_soon(0.1)
        super().update(*arguments)
        time.sleep(1)
        raise AssertionError
