"""Actors that die or hang in the middle of their work, once for each order in a folder."""

import os
import random
import signal
import threading
import time
from pathlib import Path
from typing import Any

from cluster.inference.server import InferenceServer
from cluster.learner.rank import LearnerRank
from cluster.rollout.worker import RolloutWorker
from cluster.runtime.batching import Layout, unpack

ORDERS = "PHYSRL_CHAOS_ORDERS"
"""Environment variable that names the folder of orders; actors inherit it."""


def ordered(name: str) -> bool:
    """Take an order back if there is one, so that one actor alone carries it out."""
    try:
        (Path(os.environ[ORDERS]) / name).unlink()
    except FileNotFoundError:
        return False
    return True


def die_soon(longest_s: float) -> None:
    """Kill this process after a random while, and leave the time of death in a file."""

    def die() -> None:
        time.sleep(random.uniform(0, longest_s))
        (Path(os.environ[ORDERS]) / "died").write_text(str(time.time()))
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=die, daemon=True).start()


class ChaoticWorker(RolloutWorker):
    """Dies within a simulation, hangs, or meets a scene that kills it every time."""

    def act(self, request: Any, layout: Layout, *objects: Any) -> Any:
        if ordered("kill-worker"):
            die_soon(0.02)
            time.sleep(0.03)  # within the call, however fast it is
        if ordered("hang-worker"):
            (Path(os.environ[ORDERS]) / "died").write_text(str(time.time()))
            time.sleep(3600)
        poison = Path(os.environ[ORDERS]) / "poison"
        scenes = [state.record.scene.index for _, (state, *_) in unpack(layout, objects)]
        if poison.exists() and int(poison.read_text()) in scenes:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().act(request, layout, *objects)


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
