"""A Ray cluster on this machine whose nodes pretend to have GPUs, and actors that note their calls.

A program of its own, since a process can join one cluster. It reads the nodes and a configuration
as JSON from stdin, starts the actors of a run, and writes where they are, and their calls in order.
"""

import json
import sys
from pathlib import Path
from typing import Any

from cluster.runtime.session import ray_session  # before Ray itself: it sets the token

import ray  # isort: skip
from ray.cluster_utils import Cluster  # isort: skip

from cluster.inference.server import InferenceServer
from cluster.learner.rank import LearnerRank
from cluster.rollout.worker import RolloutWorker
from cluster.training.actors import RunActors
from physrl.config.load import validate


class Noted:
    """An actor that does nothing but note its calls."""

    def ready(self) -> None:
        self.note("start")

    def note(self, call: str) -> None:
        log = ray.get_actor("log")
        ray.get(log.add.remote(f"{type(self).__name__.lower()} {call}"))

    def node(self) -> str:
        return str(ray.get_runtime_context().get_node_id())


class Server(Noted, InferenceServer):
    def __init__(self, *arguments: Any) -> None:
        """Start no engine."""

    def sleep(self) -> None:
        self.note("sleep")

    def wake(self) -> None:
        self.note("wake")


class Rank(Noted, LearnerRank):
    def __init__(self, *arguments: Any) -> None:
        """Import no torch."""

    def rendezvous(self, world_size: int) -> tuple[str, int]:
        return "", 0

    def join(self, world_size: int, address: str, port: int) -> None:
        """Join nothing."""

    def files(self, folder: Path) -> tuple[str, dict[str, int]]:
        return "here", {}

    def write(self, *arguments: Any) -> None:
        """Write nothing."""

    def load(self, config: Any, state: Any) -> None:
        self.note("load")

    def free_cache(self) -> None:
        self.note("free")


class Worker(Noted, RolloutWorker):
    def __init__(self) -> None:
        """Make no world."""


class Log:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, line: str) -> None:
        self.lines.append(line)

    def read(self) -> list[str]:
        return self.lines


def main() -> None:
    given = json.load(sys.stdin)
    cluster = Cluster()
    names: dict[str, str] = {}
    for name, options in given["nodes"]:
        node = cluster.add_node(object_store_memory=100 << 20, **options)
        names[node.node_id] = name
    cluster.connect()
    log = ray.remote(num_cpus=0)(Log).options(name="log").remote()
    config = validate(given["config"])
    with ray_session(config.runtime):
        actors = RunActors(config, worker=Worker, server=Server, rank=Rank)
        with actors.learning():
            actors.learner.load(config, None)
        pools = {
            "servers": actors.servers.pool.handles,
            "ranks": actors.learner.start().handles,
            "workers": actors.rollouts.pool.handles,
        }
        places = {
            kind: [names[node] for node in ray.get([each.node.remote() for each in handles])]
            for kind, handles in pools.items()
        }
        calls = ray.get(log.read.remote())
        actors.stop()
    ray.shutdown()
    cluster.shutdown()
    print(json.dumps({"places": places, "calls": calls}))


if __name__ == "__main__":
    main()
