"""Files of which a function runs between start and end of one GRPO step, over all processes.

    python tests/benchmarks/step_files.py [--root CHECKOUT]

Trains the tiny base for four steps with `physrl train` (place, sync mode, full weights), and
records the second in the driver, the rollout workers, the inference server and the learner rank.
Functions count, code of modules does not. Works on other checkouts too, such as an older commit's.

Prints each file with its processes and functions; last line: {"files", "physrl", "cluster",
"jobs"}.
"""

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
RECORDER = Path(__file__).with_name("function_recorder")
PACKAGES = ("physrl", "cluster", "jobs")
RECORDED_STEP = 2
PAUSE_S = 3
"""Pause between steps, in which work that is begun for the next step ends."""
PROGRESS = ("jobs.display.progress", "jobs.progress")
"""Modules that held `TrainingProgress` at one time."""
CONFIG = {
    "name": "steps",
    "task": "place",
    "model": {"path": "assets/tiny-base", "max_prompt_tokens": 96, "max_completion_tokens": 24},
    "algorithm": {"type": "grpo", "steps": 4, "prompts_per_step": 8, "group_size": 4, "lr": 1e-4},
    "evaluation": {"scenes": 4, "tasks": ["place"]},
    "checkpoint": {"every": 100},
    "runtime": {"mode": "sync", "batching": "fixed", "kv_cache_mb": 64, "max_num_seqs": 64},
}


@dataclass(frozen=True)
class Call:
    """A function that was called, and the process."""

    process: str
    file: str
    function: str


def main() -> None:
    """Run a training job with the recorder, and list what it found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=ROOT, help="checkout to measure")
    parser.add_argument("--job", nargs=2, type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.job is not None:
        train(*given.job)
        return
    root = given.root.resolve()
    with tempfile.TemporaryDirectory(prefix="step-files-") as name:
        calls = record_calls(root, Path(name))
    files = sorted({call.file for call in calls})
    for file in files:
        here = [call for call in calls if call.file == file]
        processes = ", ".join(sorted({call.process for call in here}))
        functions = ", ".join(sorted({call.function for call in here}))
        print(f"{file}  [{processes}]  {functions}")
    counts = Counter(Path(file).parts[0] for file in files)
    print(json.dumps({"files": len(files)} | {name: counts[name] for name in PACKAGES}))


def record_calls(root: Path, folder: Path) -> set[Call]:
    """Run the job; return the functions that were called in the recorded step."""
    config, records = folder / "config.json", folder / "records"
    config.write_text(json.dumps(CONFIG | {"output": str(folder / "runs")}))  # JSON is YAML
    records.mkdir()
    environment = {
        "PYTHONPATH": os.pathsep.join((str(RECORDER), str(root))),
        "FUNCTION_RECORDER": str(records),
        "FUNCTION_RECORDER_ROOT": str(root),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, __file__, "--job", str(config), str(records / "recording")]
    subprocess.run(command, cwd=root, env=os.environ | environment, check=True, stdout=sys.stderr)
    lines = [line for file in records.iterdir() for line in file.read_text().splitlines()]
    found = [line.split("\t") for line in lines]
    return {Call(process, str(Path(file).relative_to(root)), name) for process, file, name in found}


def train(config: Path, flag: Path) -> None:
    """Train in this process, and have all processes record while the flag is there."""
    progress = training_progress()
    show = progress.step

    def step(self: Any, number: int, metrics: dict[str, float]) -> None:
        show(self, number, metrics)
        time.sleep(PAUSE_S)
        if number == RECORDED_STEP - 1:
            flag.touch()
        elif number == RECORDED_STEP:
            flag.unlink()

    progress.step = step
    from jobs.cli import main as physrl

    physrl(["train", "--config", str(config)])


def training_progress() -> Any:
    """Return the class that shows a run's steps, from the checkout in this folder."""
    (name,) = (one for one in PROGRESS if Path(one.replace(".", "/") + ".py").exists())
    return importlib.import_module(name).TrainingProgress


if __name__ == "__main__":
    main()
