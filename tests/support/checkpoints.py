"""Checkpoints of runs, for tests of storage."""

import os
from pathlib import Path

from physrl.storage.checkpoints import Checkpoint, Checkpoints


def commit(run: Path, step: int, score: float | None = None, keep_last: int = 2) -> Checkpoint:
    """Commit a checkpoint with contents of its own in a run's folder."""

    def write(folder: Path) -> None:
        (folder / "adapter").mkdir()
        (folder / "adapter" / "adapter_model.safetensors").write_bytes(os.urandom(1000))
        (folder / "learner.bin").write_bytes(f"{run} {step}".encode() * 100)

    state = {"policy_version": step} | ({} if score is None else {"score": score})
    return Checkpoints(run, keep_last).commit(step, state, write)
