"""Profiles of PyTorch operators."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile


@contextmanager
def profile_update(path: Path) -> Iterator[None]:
    """Write a Chrome trace of the block's operators, and of a GPU's kernels if there is one.

    Args:
        path: a `.json` file, or `.json.gz`, which is a tenth as large and opens in Perfetto too.
    """
    activities = [ProfilerActivity.CPU]
    if torch.cuda.is_available():
        activities.append(ProfilerActivity.CUDA)
    with profile(activities=activities) as profiler:
        yield
    path.parent.mkdir(parents=True, exist_ok=True)
    profiler.export_chrome_trace(str(path))
