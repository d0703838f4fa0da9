"""Kills, hangs and breaks every part of running jobs, and compares with a run that had peace.

    python tests/benchmarks/chaos.py [--repetitions 20] [--faults worker,server,...]

A fault is survived if the run ends with the same weights, bit by bit, as the undisturbed run, and
every scene was trained on once (but for the scene that kills every worker, which is left out and
named). Recovery is the time from the death to the next step that is done; for a driver, from the
start of its successor to that step.
"""

import argparse
import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from chaos_actors import ORDERS, ChaoticRank, ChaoticServer, ChaoticWorker
from rich.console import Console
from rich.table import Table

from cluster.runtime.session import ray_session
from cluster.runtime.stopping import StopRequest
from cluster.training.actors import Cluster
from cluster.training.controller import Controller
from physrl.config.load import dump_yaml, validate
from physrl.config.run import RunConfig
from physrl.data.rollouts import read_rollouts
from physrl.metrics import read_metrics
from physrl.storage.checkpoints import Checkpoint
from physrl.storage.mirror import store_files
from physrl.storage.run_folder import open_run
from physrl.types import Metrics

ROOT = Path(__file__).parents[2]
STEPS, PROMPTS, GROUP = 4, 8, 4
HUNG_AFTER_S = 5
STORE_FAULTS = ("500 InternalError", "503 SlowDown", "cut upload", "slow", "lost answer")
console = Console(soft_wrap=True)


@dataclass(frozen=True)
class Outcome:
    """What became of one run."""

    survived: bool
    scenes_lost: int
    recovery_s: float


def make_config(folder: Path, name: str, **changes: Any) -> RunConfig:
    runtime = {
        "kv_cache_mb": 64,
        "max_num_seqs": 64,
        "prompts_per_call": 4,
        "learner_ranks": 2,
        "zero_stage": 2,
        "worker_timeout_s": HUNG_AFTER_S,
    }
    return validate(
        {
            "name": name,
            "output": str(folder),
            "task": "stability",
            "model": {"path": str(ROOT / "assets" / "tiny-base"), "max_prompt_tokens": 96},
            "algorithm": {
                "steps": STEPS,
                "prompts_per_step": PROMPTS,
                "group_size": GROUP,
                "lr": 1e-3,
                "max_grad_norm": 1.0,
            },
            "evaluation": {"scenes": 4, "tasks": ["stability"]},
            "checkpoint": {"every": 2},
            "runtime": runtime | changes.pop("runtime", {}),
        }
        | changes
    )


class Bystander:
    """Notes when steps are done, and does something after one of them."""

    def __init__(self, after: dict[int, Callable[[], object]]) -> None:
        self.after = after
        self.times: list[float] = []

    def phase(self, name: str) -> None: ...

    def step(self, step: int, metrics: Metrics) -> None:
        self.times.append(time.time())
        self.after.get(step, lambda: None)()


def digest(checkpoint: Path) -> str:
    """The weights of a checkpoint's folder."""
    file = next(checkpoint.glob("*/*.safetensors"))
    return hashlib.sha256(file.read_bytes()).hexdigest()


def scenes_lost(folder: Path, left_out: int = 0) -> int:
    """Scenes that were not trained on, or more than once."""
    found: Counter[int] = Counter()
    for step in range(1, STEPS + 1):
        table = read_rollouts(folder / "rollouts" / f"step-{step:08d}.parquet")
        ids = set(table.column("scene_id").to_pylist())
        found.update(int(each.rpartition("/")[2]) for each in ids)
    once = sum(found[scene] == 1 for scene in range(STEPS * PROMPTS))
    return STEPS * PROMPTS - left_out - once


class Chaos:
    """One cluster on which runs are disturbed."""

    def __init__(self, folder: Path, repetitions: int) -> None:
        self.folder, self.repetitions = folder, repetitions
        self.orders = folder / "orders"
        self.orders.mkdir()
        os.environ[ORDERS] = str(self.orders)

    def train(
        self, cluster: Cluster, name: str, after: dict[int, Callable[[], object]] | None = None
    ) -> tuple[Checkpoint, Bystander]:
        bystander = Bystander(after or {})
        config = make_config(self.folder, name)
        return Controller(config, cluster, bystander, StopRequest()).train(), bystander

    def actors(self, faults: list[str], peaceful: str) -> dict[str, list[Outcome]]:
        """Faults within a run, all on one cluster."""
        found: dict[str, list[Outcome]] = {}
        cluster = Cluster(
            make_config(self.folder, "cluster"),
            worker=ChaoticWorker,
            server=ChaoticServer,
            rank=ChaoticRank,
        )
        try:
            cluster.wait_for_servers()
            for fault in faults:
                order = {"hang": "hang-worker"}.get(fault, f"kill-{fault}")
                count = self.repetitions if fault != "hang" else max(1, self.repetitions // 4)
                disturb = partial(self.disturb, cluster, fault, order, peaceful)
                found[fault] = repeat(fault, count, disturb)
            return found
        finally:
            cluster.stop()

    def disturb(
        self, cluster: Cluster, fault: str, order: str, peaceful: str, number: int
    ) -> Outcome:
        name, step = f"{fault}-{number}", random.randint(1, STEPS - 1)
        (self.orders / "died").unlink(missing_ok=True)
        end, bystander = self.train(cluster, name, {step: (self.orders / order).touch})
        died = float((self.orders / "died").read_text())
        recovered = min(at for at in bystander.times if at > died)
        return Outcome(
            digest(end.path) == peaceful, scenes_lost(self.folder / name), recovered - died
        )

    def poison(self, number: int) -> Outcome:
        """A scene that kills every worker: left out, named and counted; all others are trained."""
        scene = random.randrange(STEPS * PROMPTS)
        config = make_config(self.folder, f"poison-{number}")
        cluster = Cluster(config, worker=ChaoticWorker)
        (self.orders / "poison").write_text(str(scene))
        try:
            self.train(cluster, config.name)
            named = f"stability/train/iid/0/{scene}" in cluster.rollouts.quarantine.scenes
        finally:
            (self.orders / "poison").unlink()
            cluster.stop()
        rows = read_metrics(config.folder)
        counted = sum(row["faults/quarantined_scenes"] for row in rows) == 1
        slowest = max(row["time/step_s"] for row in rows)
        return Outcome(named and counted, scenes_lost(config.folder, left_out=1), slowest)

    def driver(self, number: int, storage: str, peaceful: str) -> Outcome:
        """SIGKILL of the driver; resumed from storage on another folder."""
        name = f"driver-{number}"
        config = make_config(self.folder / "first", name, storage=storage)
        file = self.folder / f"{name}.yaml"
        file.write_text(dump_yaml(config))
        process = train_process(file)
        wait_for_steps(config, process, random.randint(2, STEPS - 1))
        time.sleep(random.uniform(0, 0.5))
        process.kill()
        process.wait()
        end_orphans()
        output = self.folder / "second"
        began = time.time()
        resumed = train_process(file, f"output={output}", "--resume")
        folder = output / name
        recovered = None
        while resumed.poll() is None:
            if recovered is None and any(row["time"] > began for row in read_metrics(folder)):
                recovered = time.time()  # rows of before come back too
            time.sleep(0.1)
        end = folder / "checkpoints" / f"step-{STEPS:08d}"
        survived = resumed.returncode == 0 and end.exists() and digest(end) == peaceful
        lost = scenes_lost(folder) if survived else STEPS * PROMPTS
        return Outcome(survived, lost, (recovered or time.time()) - began)

    def storage_fails(self, number: int, server: Any, peaceful: str) -> Outcome:
        """The store answers 500, is slow, and cuts uploads; at the end all is there."""
        faults = load(ROOT / "tests" / "physrl" / "storage" / "conftest.py")
        network = faults.Network(server)
        handler = type("Bound", (faults.Handler,), {"network": network})
        name = f"storage-fails-{number}"
        direct = os.environ["AWS_ENDPOINT_URL"]
        with faults.Server(("127.0.0.1", 0), handler) as proxy:
            threading.Thread(target=proxy.serve_forever, args=(0.02,), daemon=True).start()
            os.environ["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{proxy.server_port}"
            try:
                config = make_config(self.folder, name, storage="s3://chaos/runs")
                open_run(config, resume=False)  # which a store that fails now would refuse
                for kind in STORE_FAULTS:
                    network.fail(kind, "PUT", times=4)
                cluster = Cluster(config)
                try:
                    end = Controller(config, cluster, Bystander({}), StopRequest()).train()
                finally:
                    cluster.stop()
                began = time.time()
                store_files(config)
            finally:
                os.environ["AWS_ENDPOINT_URL"] = direct
                proxy.shutdown()
        pulled = self.folder / "pulled" / name
        command = [sys.executable, "-m", "jobs.cli", "pull", f"s3://chaos/runs/{name}"]
        subprocess.run([*command, "--out", str(pulled)], cwd=ROOT, check=True)
        weights = next(pulled.rglob("*.safetensors"))
        same = digest(end.path) == peaceful == digest(weights.parents[1])
        return Outcome(same, scenes_lost(config.folder), time.time() - began)

    def sigterm(self, number: int) -> Outcome:
        """What `ray job stop` sends: a whole checkpoint, exit code 0 and how to resume."""
        name = f"sigterm-{number}"
        config = make_config(self.folder, name)
        file = self.folder / f"{name}.yaml"
        file.write_text(dump_yaml(config))
        process = train_process(file)
        wait_for_steps(config, process, 1)
        began = time.time()
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        ended = time.time() - began
        said = file.with_suffix(".log").read_bytes()
        whole = bool(list((config.folder / "checkpoints").glob("step-*/MANIFEST.json")))
        told = b"--resume" in said
        return Outcome(process.returncode == 0 and whole and told, 0, ended)

    def full_disk(self, number: int, peaceful: str) -> Outcome:
        """No room for checkpoints, metrics and rollouts for a while."""
        disk = self.folder / f"disk-{number}"
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", disk], check=True)
        try:
            config = make_config(disk, "full")
            filling = disk / "filling"
            cluster = Cluster(config)
            try:
                bystander = Bystander({1: lambda: fill(filling), 3: filling.unlink})
                end = Controller(config, cluster, bystander, StopRequest()).train()
            finally:
                cluster.stop()
            survived = digest(end.path) == peaceful
            return Outcome(survived, scenes_lost(config.folder), 0.0)
        finally:
            subprocess.run(["umount", "-l", disk], check=True)


def fill(file: Path) -> None:
    """Write until there is no room."""
    with contextlib.suppress(OSError), file.open("wb", buffering=0) as stream:
        while True:
            stream.write(bytes(1 << 16))


def train_process(config: Path, *more: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "jobs.cli", "train", "--config", str(config), *more]
    said = config.with_suffix(".log").open("ab")  # not a pipe, which fills
    return subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=subprocess.STDOUT)


def wait_for_steps(config: RunConfig, process: "subprocess.Popen[bytes]", steps: int) -> None:
    while len(read_metrics(config.folder)) < steps:
        if process.poll() is not None:
            raise RuntimeError(f"{config.name} ended with {process.returncode}")
        time.sleep(0.02)


def end_orphans() -> None:
    """Ray's processes notice that their driver is gone; wait until they have."""
    import psutil

    def orphans() -> list[psutil.Process]:
        return [p for p in psutil.process_iter(["name", "ppid"]) if "raylet" in p.info["name"]]

    for _ in range(100):
        if not [p for p in orphans() if p.info["ppid"] == 1]:
            return
        time.sleep(0.1)


@contextlib.contextmanager
def storage(folder: Path) -> Iterator[Any]:
    """An S3 server with a bucket `chaos`; the environment leads to it."""
    conftest = load(ROOT / "tests" / "conftest.py")
    folder.mkdir()
    weed = shutil.which("weed", path=f"{sys.prefix}/bin")
    server = conftest.SeaweedFS(weed, folder)
    server.start()
    os.environ.update(server.environment)
    import boto3

    boto3.client("s3").create_bucket(Bucket="chaos")
    try:
        yield server
    finally:
        server.kill()


def load(path: Path) -> Any:
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def repeat(fault: str, times: int, disturb: Callable[[int], Outcome]) -> list[Outcome]:
    """Each outcome is said at once: all of them take an hour."""
    outcomes = []
    for number in range(times):
        outcomes.append(outcome := disturb(number))
        console.print(f"{fault} {number + 1}/{times}: {json.dumps(asdict(outcome))}")
    return outcomes


def show(found: dict[str, list[Outcome]]) -> None:
    table = Table("fault", "runs", "survived", "scenes lost", "recovery s, median", "longest")
    for fault, outcomes in found.items():
        seconds = [outcome.recovery_s for outcome in outcomes]
        table.add_row(
            fault,
            str(len(outcomes)),
            str(sum(outcome.survived for outcome in outcomes)),
            str(sum(outcome.scenes_lost for outcome in outcomes)),
            f"{statistics.median(seconds):.1f}",
            f"{max(seconds):.1f}",
        )
    console.print(table)
    every = [outcome for outcomes in found.values() for outcome in outcomes]
    figures = {
        "faults": len(found),
        "runs": len(every),
        "survived": sum(outcome.survived for outcome in every),
        "scenes_lost": sum(outcome.scenes_lost for outcome in every),
        "max_recovery_s": round(max(outcome.recovery_s for outcome in every), 1),
    }
    print(json.dumps(figures))


ACTORS = ("worker", "server", "rank", "hang")
OTHERS = ("poison", "full disk", "sigterm", "storage", "driver")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=20)
    parser.add_argument("--faults", default=",".join((*ACTORS, *OTHERS)))
    given = parser.parse_args()
    wanted = given.faults.split(",")
    if unknown := set(wanted) - {*ACTORS, *OTHERS}:
        parser.error(f"--faults names {unknown}: choose from {', '.join((*ACTORS, *OTHERS))}")
    few = max(1, given.repetitions // 10)
    with tempfile.TemporaryDirectory(prefix="physrl-chaos-") as name:
        folder = Path(name)
        chaos = Chaos(folder, given.repetitions)
        found: dict[str, list[Outcome]] = {}
        with ray_session(make_config(folder, "session").runtime):
            cluster = Cluster(make_config(folder, "peaceful"))
            try:
                peaceful = digest(chaos.train(cluster, "peaceful")[0].path)
            finally:
                cluster.stop()
            found |= chaos.actors([fault for fault in ACTORS if fault in wanted], peaceful)
            if "poison" in wanted:
                found["poison"] = repeat("poison", few, chaos.poison)
            if "full disk" in wanted and os.geteuid() == 0:
                found["full disk"] = repeat(
                    "full disk", few, lambda n: chaos.full_disk(n, peaceful)
                )
            elif "full disk" in wanted:
                console.print("full disk: left out, only root may mount a small one")
            if "storage" in wanted:
                with storage(folder / "failing-storage") as server:
                    found["storage"] = repeat(
                        "storage", few, lambda n: chaos.storage_fails(n, server, peaceful)
                    )
        if "sigterm" in wanted:
            found["sigterm"] = repeat("sigterm", few, chaos.sigterm)
        if "driver" in wanted:
            with storage(folder / "storage"):
                found["driver"] = repeat(
                    "driver",
                    given.repetitions,
                    lambda n: chaos.driver(n, "s3://chaos/runs", peaceful),
                )
        show(found)


if __name__ == "__main__":
    main()
