"""A sweep that is killed at random moments: is anything computed twice, or missing, or different?

python tests/benchmarks/kill_and_restore.py --kills 3

Runs a small study to its end, and the same study with SIGKILL at random moments, each time followed
by the same command. The moments are spread over the study: each a little after a number of results,
drawn from all that it has. Last line: {"kills", "results", "recomputed", "missing", "different"}.
"""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

ROOT = Path(__file__).parents[2]
RESULTS = ("trained", "cells", "adaptation", "probes")
STUDY: dict[str, Any] = {
    "name": "killed",
    "base": {
        "environment": {"num_blocks": [2, 4]},
        "model": {
            "path": str(ROOT / "assets" / "tiny-base"),
            "max_prompt_tokens": 96,
            "max_completion_tokens": 24,
        },
        "algorithm": {"steps": 4, "prompts_per_step": 8, "group_size": 4, "lr": 5e-4},
        "checkpoint": {"every": 1},
        "runtime": {
            "batching": "fixed",
            "rollout_workers": 1,
            "kv_cache_mb": 64,
            "max_num_seqs": 64,
        },
    },
    "grid": {"tasks": ["place"], "methods": {"grpo": {}, "sft": {}}, "seeds": [0]},
    "evaluation": {"tasks": ["place", "place_x"], "test_sets": ["iid", "tall"], "scenes": 16},
    "adaptation": {
        "tasks": ["place_x"],
        "steps": [0, 1, 2],
        "scenes": 16,
        "algorithm": {"prompts_per_step": 8},
    },
    "probes": {"tasks": ["place"], "targets": ["height"], "scenes": 40, "folds": 2},
}


def main(
    kills: Annotated[int, typer.Option(min=1, help="Number of kills.")] = 3,
    seed: Annotated[int, typer.Option(help="Seed of the times of the kills.")] = 0,
) -> None:
    """Run both studies, and compare the results in their stores."""
    moments = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        undisturbed, killed = Path(folder) / "undisturbed", Path(folder) / "killed"
        finish(start(undisturbed))
        expected = contents(undisturbed)
        recomputed, done = 0, 0
        for results in sorted(moments.sample(range(len(expected)), kills)):
            before = contents(killed)
            process = start(killed)
            if reaches(killed, results, process):
                time.sleep(moments.uniform(0, 10))
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                done += 1
            recomputed += changed(before, contents(killed))
            print(f"killed with {len(contents(killed))} of {len(expected)} results", flush=True)
            time.sleep(5)  # its actors end after it
        before = contents(killed)
        finish(start(killed))
        recomputed += changed(before, contents(killed))
        found = contents(killed)
    figures = {
        "kills": done,
        "results": len(found),
        "recomputed": recomputed,
        "missing": len(expected.keys() - found.keys()),
        "different": sum(
            found[key][1] != expected[key][1]
            for key in expected.keys() & found.keys()
            if not key.startswith("trained")  # holds folders and times
        ),
    }
    print(json.dumps(figures))


def start(folder: Path) -> "subprocess.Popen[bytes]":
    """Start the study in a process group of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    study = folder / "study.yaml"
    tree = STUDY | {"store": str(folder / "store")}
    tree["base"] = STUDY["base"] | {"output": str(folder / "runs")}
    study.write_text(yaml.safe_dump(tree))
    command = [sys.executable, "-m", "jobs.sweep", "--config", str(study)]
    log = (folder / "log").open("ab")
    return subprocess.Popen(
        command, stdout=log, stderr=log, start_new_session=True, cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def reaches(folder: Path, results: int, process: "subprocess.Popen[bytes]") -> bool:
    """Wait until a store holds so many results; return False if the study ended before."""
    while process.poll() is None:
        if len(contents(folder)) >= results:
            return True
        time.sleep(0.2)
    return False


def finish(process: "subprocess.Popen[bytes]") -> None:
    """Wait for the end of a study.

    Raises:
        SystemExit: the study failed.
    """
    if process.wait() != 0:
        raise SystemExit(f"the study ended with {process.returncode}")


def contents(folder: Path) -> dict[str, tuple[int, str]]:
    """Return the time at which each result was written, and its SHA-256."""
    store = folder / "store"
    files = [path for kind in RESULTS for path in (store / kind).glob("*") if path.suffix]
    complete = [path for path in files if not path.name.startswith(".")]
    return {
        f"{path.parent.name}/{path.name}": (
            path.stat().st_mtime_ns,
            hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        for path in complete
    }


def changed(before: dict[str, tuple[int, str]], after: dict[str, tuple[int, str]]) -> int:
    """Count the results that were written again, or are gone."""
    return sum(after.get(key) != value for key, value in before.items())


if __name__ == "__main__":
    typer.run(main)
