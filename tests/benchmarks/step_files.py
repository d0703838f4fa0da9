"""Files of which a function runs between start and end of one GRPO step, over all processes.

    python tests/benchmarks/step_files.py [--root CHECKOUT]

Trains the tiny base for three steps with `physrl train` (place, sync mode, full weights), and
records the second in the driver, the rollout workers, the inference server and the learner rank.
Functions count, code of modules does not. Works on other checkouts too, such as an older commit's.

Prints the files with their processes; last line: {"files", "physrl", "cluster", "jobs"}.
"""

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
RECORDER = Path(__file__).with_name("function_recorder")
PACKAGES = ("physrl", "cluster", "jobs")
RECORDED_STEP = 2
PROGRESS = ("jobs.display.progress", "jobs.progress")
"""Modules of `TrainingProgress`, the newer first."""
CONFIG = {
    "name": "steps",
    "task": "place",
    "model": {"path": "assets/tiny-base", "max_prompt_tokens": 96, "max_completion_tokens": 24},
    "algorithm": {"type": "grpo", "steps": 3, "prompts_per_step": 8, "group_size": 4, "lr": 1e-4},
    "evaluation": {"scenes": 4, "tasks": ["place"]},
    "checkpoint": {"every": 100},
    "runtime": {"mode": "sync", "kv_cache_mb": 64, "max_num_seqs": 64},
}


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
        found = record_files(root, Path(name))
    for file, processes in sorted(found.items()):
        print(f"{file:45} {', '.join(sorted(processes))}")
    counts = Counter(Path(file).parts[0] for file in found)
    print(json.dumps({"files": len(found)} | {name: counts[name] for name in PACKAGES}))


def record_files(root: Path, folder: Path) -> dict[str, set[str]]:
    """Run the job; return the names of the processes by file."""
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
    found: dict[str, set[str]] = defaultdict(set)
    for record in records.iterdir():
        for line in record.read_text().splitlines():
            process, file = line.split(" ", 1)
            found[str(Path(file).relative_to(root))].add(process)
    return found


def train(config: Path, flag: Path) -> None:
    """Train in this process, and have all processes record while the flag is there."""
    progress = training_progress()
    show = progress.step

    def step(self: Any, number: int, metrics: dict[str, float]) -> None:
        show(self, number, metrics)
        if number == RECORDED_STEP - 1:
            flag.touch()
        elif number == RECORDED_STEP:
            flag.unlink()

    progress.step = step
    from jobs.cli import main as physrl

    physrl(["train", "--config", str(config)])


def training_progress() -> Any:
    """Return the class that shows a run's steps."""
    for name in PROGRESS:
        try:
            return importlib.import_module(name).TrainingProgress
        except ModuleNotFoundError:
            continue
    raise ModuleNotFoundError(f"TrainingProgress is in none of {', '.join(PROGRESS)}")


if __name__ == "__main__":
    main()
