"""The run that faults disturb, in this process or in one of its own, and checks of its results."""

import hashlib
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil

from cluster.runtime.stopping import StopRequest
from cluster.training.actors import RunActors
from cluster.training.controller import Controller
from physrl.config.load import dump_yaml, validate
from physrl.config.run import RunConfig
from physrl.data.rollouts import read_rollouts
from physrl.metrics import read_metrics
from physrl.storage.checkpoints import Checkpoint
from physrl.types import Metrics

ROOT = Path(__file__).parents[2]
STEPS, PROMPTS, GROUP = 4, 8, 4
HUNG_AFTER_S = 5


def make_config(folder: Path, name: str, **changes: Any) -> RunConfig:
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
            "runtime": {
                "kv_cache_mb": 64,
                "max_num_seqs": 64,
                "batching": "fixed",
                "learner_ranks": 2,
                "zero_stage": 2,
                "worker_timeout_s": HUNG_AFTER_S,
            },
        }
        | changes
    )


class StepTimes:
    """A reporter that records when steps are done, and acts after some of them."""

    def __init__(self, after: Mapping[int, Callable[[], object]]) -> None:
        self.after = after
        self.times: list[float] = []

    def phase(self, name: str) -> None: ...

    def step(self, step: int, metrics: Metrics) -> None:
        self.times.append(time.time())
        self.after.get(step, lambda: None)()


def train(
    actors: RunActors, config: RunConfig, after: Mapping[int, Callable[[], object]] | None = None
) -> tuple[Checkpoint, StepTimes]:
    """Train in this process.

    Args:
        after: actions by the step that they follow.
    """
    times = StepTimes(after or {})
    return Controller(config, actors, times, StopRequest()).train(), times


def digest(checkpoint: Path) -> str:
    """Compute the SHA-256 of a checkpoint's weights."""
    file = next(checkpoint.glob("*/*.safetensors"))
    return hashlib.sha256(file.read_bytes()).hexdigest()


def count_lost(folder: Path, left_out: int = 0) -> int:
    """Count the scenes that were not trained on exactly once, but for those left out."""
    found: Counter[int] = Counter()
    for step in range(1, STEPS + 1):
        table = read_rollouts(folder / "rollouts" / f"step-{step:08d}.parquet")
        ids = set(table.column("scene_id").to_pylist())
        found.update(int(each.rpartition("/")[2]) for each in ids)
    once = sum(found[scene] == 1 for scene in range(STEPS * PROMPTS))
    return STEPS * PROMPTS - left_out - once


class TrainProcess:
    """A `physrl train` in a process of its own; its output goes to a file, since a pipe fills."""

    def __init__(self, config: RunConfig, folder: Path, *arguments: str) -> None:
        self._config = config
        file = folder / f"{config.name}.yaml"
        file.write_text(dump_yaml(config))
        self.log = file.with_suffix(".log")
        command = [sys.executable, "-m", "jobs.cli", "train", "--config", str(file), *arguments]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)

    def wait_for_steps(self, steps: int) -> None:
        """Wait until so many steps are done.

        Raises:
            RuntimeError: the process ended before.
        """
        while len(read_metrics(self._config.folder)) < steps:
            if self.process.poll() is not None:
                raise RuntimeError(f"{self._config.name} ended with {self.process.returncode}")
            time.sleep(0.02)


def wait_for_orphans() -> None:
    """Wait until the Ray processes of a killed driver have noticed, at most ten seconds."""
    for _ in range(100):
        processes = psutil.process_iter(["name", "ppid"])
        if not [p for p in processes if "raylet" in p.info["name"] and p.info["ppid"] == 1]:
            return
        time.sleep(0.1)
