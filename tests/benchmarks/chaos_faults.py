"""The faults that a run must survive, by name."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from chaos_actors import ORDERS, ChaoticRank, ChaoticServer, ChaoticWorker
from chaos_run import (
    PROMPTS,
    ROOT,
    STEPS,
    TrainProcess,
    count_lost,
    digest,
    make_config,
    train,
    wait_for_orphans,
)
from chaos_storage import RUNS, failing_network, s3_server

from cluster.training.actors import RunActors
from physrl.config.run import RunConfig
from physrl.metrics import read_metrics
from physrl.storage.mirror import store_files
from physrl.storage.run_folder import open_run

ACTOR_FAULTS = {
    "worker": "kill-worker",
    "server": "kill-server",
    "rank": "kill-rank",
    "hang": "hang-worker",
}
"""Orders to actors (`chaos_actors.py`) by fault; all runs share one set of actors."""
STORE_FAULTS = ("500 InternalError", "503 SlowDown", "cut upload", "slow", "lost answer")


@dataclass(frozen=True)
class Outcome:
    """The result of one disturbed run."""

    survived: bool
    scenes_lost: int
    recovery_s: float


class Faults:
    """Disturbs runs, and compares each with the undisturbed one; made before Ray starts.

    Args:
        folder: an empty folder for runs.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._orders = folder, folder / "orders"
        self._orders.mkdir()
        os.environ[ORDERS] = str(self._orders)
        self._expected = ""

    def train_undisturbed(self) -> None:
        """Train the run that others are compared with."""
        config = make_config(self._folder, "undisturbed")
        with started(config) as actors:
            checkpoint, _ = train(actors, config)
        self._expected = digest(checkpoint.path)

    @contextmanager
    def chaotic_actors(self) -> Iterator[RunActors]:
        """Start actors that take orders."""
        classes = {"worker": ChaoticWorker, "server": ChaoticServer, "rank": ChaoticRank}
        actors = RunActors(make_config(self._folder, "actors"), **classes)
        try:
            actors.servers.wait()
            yield actors
        finally:
            actors.stop()

    def disturb_actor(self, actors: RunActors, fault: str, number: int) -> Outcome:
        """Kill an actor, or have it hang, after a random step."""
        config, step = make_config(self._folder, f"{fault}-{number}"), random.randint(1, STEPS - 1)
        order, died = self._orders / ACTOR_FAULTS[fault], self._orders / "died"
        died.unlink(missing_ok=True)
        end, times = train(actors, config, {step: order.touch})
        death = float(died.read_text())
        recovered = min(at for at in times.times if at > death)
        return Outcome(self._survived(end.path), count_lost(config.folder), recovered - death)

    def poison(self, number: int) -> Outcome:
        """Have a scene kill every worker: it is left out, named and counted; others are trained."""
        scene = random.randrange(STEPS * PROMPTS)
        config, poison = make_config(self._folder, f"poison-{number}"), self._orders / "poison"
        with started(config, worker=ChaoticWorker) as actors:
            poison.write_text(str(scene))
            try:
                train(actors, config)
            finally:
                poison.unlink()
            named = f"stability/train/iid/0/{scene}" in actors.rollouts.quarantine.scenes
        rows = read_metrics(config.folder)
        counted = sum(row["faults/quarantined_scenes"] for row in rows) == 1
        slowest = max(row["time/step_s"] for row in rows)
        return Outcome(named and counted, count_lost(config.folder, left_out=1), slowest)

    def full_disk(self, number: int) -> Outcome:
        """Leave no room for checkpoints, metrics and rollouts for two steps."""
        disk = self._folder / f"disk-{number}"
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", disk], check=True)
        try:
            config, filling = make_config(disk, "full"), disk / "filling"
            with started(config) as actors:
                end, _ = train(actors, config, {1: lambda: fill(filling), 3: filling.unlink})
            return Outcome(self._survived(end.path), count_lost(config.folder), 0.0)
        finally:
            subprocess.run(["umount", "-l", disk], check=True)

    def failing_storage(self, number: int) -> Outcome:
        """Have the store answer 500, be slow and cut uploads; at the end it holds everything."""
        name = f"storage-{number}"
        with s3_server(self._folder / f"server-{number}") as server:
            with failing_network(server) as network:
                config = make_config(self._folder, name, storage=RUNS)
                open_run(config, resume=False)  # which a store that fails now would refuse
                for kind in STORE_FAULTS:
                    network.fail(kind, "PUT", times=4)
                with started(config) as actors:
                    end, _ = train(actors, config)
                began = time.time()
                store_files(config)
            pulled = self._folder / "pulled" / name
            command = [sys.executable, "-m", "jobs.cli", "pull", f"{RUNS}/{name}"]
            subprocess.run([*command, "--out", str(pulled)], cwd=ROOT, check=True)
            stored = next(pulled.rglob("*.safetensors")).parents[1]
            survived = self._survived(end.path) and self._survived(stored)
            return Outcome(survived, count_lost(config.folder), time.time() - began)

    def sigterm(self, number: int) -> Outcome:
        """Send what `ray job stop` sends: a complete checkpoint, exit code 0, how to resume."""
        config = make_config(self._folder, f"sigterm-{number}")
        job = TrainProcess(config, self._folder)
        job.wait_for_steps(1)
        began = time.time()
        job.process.send_signal(signal.SIGTERM)
        job.process.wait(60)
        ended = time.time() - began
        complete = any((config.folder / "checkpoints").glob("step-*/MANIFEST.json"))
        explained = b"--resume" in job.log.read_bytes()
        return Outcome(job.process.returncode == 0 and complete and explained, 0, ended)

    def killed_driver(self, number: int) -> Outcome:
        """Kill the driver; the run is resumed from storage in another folder."""
        config = make_config(self._folder / "first", f"driver-{number}", storage=RUNS)
        with s3_server(self._folder / f"server-of-{config.name}"):
            return self._kill_driver(config)

    def _kill_driver(self, config: RunConfig) -> Outcome:
        job = TrainProcess(config, self._folder)
        job.wait_for_steps(random.randint(2, STEPS - 1))
        time.sleep(random.uniform(0, 0.5))
        job.process.kill()
        job.process.wait()
        wait_for_orphans()
        output = self._folder / "second"
        began, recovered, folder = time.time(), None, output / config.name
        resumed = TrainProcess(config, self._folder, f"output={output}", "--resume").process
        while resumed.poll() is None:
            if recovered is None and any(row["time"] > began for row in read_metrics(folder)):
                recovered = time.time()  # rows of before come back too
            time.sleep(0.1)
        end = folder / "checkpoints" / f"step-{STEPS:08d}"
        survived = resumed.returncode == 0 and end.exists() and self._survived(end)
        lost = count_lost(folder) if survived else STEPS * PROMPTS
        return Outcome(survived, lost, (recovered or time.time()) - began)

    def _survived(self, checkpoint: Path) -> bool:
        return digest(checkpoint) == self._expected


SESSION_FAULTS: dict[str, Callable[[Faults, int], Outcome]] = {
    "poison": Faults.poison,
    "full disk": Faults.full_disk,
    "storage": Faults.failing_storage,
}
"""Faults of runs with actors of their own, in this process."""
JOB_FAULTS: dict[str, Callable[[Faults, int], Outcome]] = {
    "sigterm": Faults.sigterm,
    "driver": Faults.killed_driver,
}
"""Faults of jobs in processes of their own."""
EVERY_FAULT = (*ACTOR_FAULTS, *SESSION_FAULTS, *JOB_FAULTS)


@contextmanager
def started(config: RunConfig, **classes: type) -> Iterator[RunActors]:
    """Start the actors of a run; stop them."""
    actors = RunActors(config, **classes)
    try:
        yield actors
    finally:
        actors.stop()


def fill(file: Path) -> None:
    """Write until there is no room."""
    with contextlib.suppress(OSError), file.open("wb", buffering=0) as stream:
        while True:
            stream.write(bytes(1 << 16))
