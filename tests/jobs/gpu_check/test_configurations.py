"""The configurations that are checked on no, one and two GPUs, and the last line."""

from pathlib import Path

import pytest

from jobs.commands.machine import GPU_CHECK
from jobs.gpu_check.colocated import account
from jobs.gpu_check.rows import Row
from jobs.gpu_check.run import on_device, summary
from physrl.config import load_config
from physrl.sizing.footprint import CUDA, rank_footprint, server_footprint
from physrl.sizing.model_size import model_size
from tests.support.paths import TINY_BASE


@pytest.mark.parametrize(
    ("gpus", "layout", "each", "batching"),
    [
        (0, "disaggregated", 0, "fixed"),
        (1, "colocated", 1, "continuous"),
        (2, "disaggregated", 1, "continuous"),
    ],
)
def test_one_gpu_is_shared_and_two_are_not(
    gpus: int, layout: str, each: int, batching: str
) -> None:
    runtime = on_device(load_config(GPU_CHECK, ()), gpus).runtime
    assert (runtime.layout, runtime.batching) == (layout, batching)
    assert (runtime.gpus_per_server, runtime.gpus_per_rank) == (each, each)


def test_a_users_model_and_sizes_are_kept_on_gpus() -> None:
    given = ["model.path=Qwen/Qwen2.5-VL-3B-Instruct", "runtime.kv_cache_mb=1234"]
    config = on_device(load_config(GPU_CHECK, given), 2)
    assert config.model.path == "Qwen/Qwen2.5-VL-3B-Instruct"
    assert config.model.max_completion_tokens == 64
    assert config.runtime.kv_cache_mb == 1234


def test_the_account_of_a_shared_gpu_counts_the_server_only_while_it_serves() -> None:
    config = on_device(load_config(GPU_CHECK, [f"model.path={TINY_BASE}"]), 1)
    allowed = account(config)
    size = model_size(config.model)
    rank, server = (
        rank_footprint(config, size),
        server_footprint(config.model, config.runtime, size),
    )
    resident = sum(part.bytes for part in rank.device if not part.transient)
    assert allowed == {"asleep": resident + CUDA, "awake": resident + server.device_bytes}


def test_the_last_line_counts_rows_and_has_their_figures(tmp_path: Path) -> None:
    rows = [
        Row("a", "pass", "", 1.0, figures={"speed": 1.23456789}),
        Row("b", "fail", "broken", 1.0, "mend it"),
        Row("c", "skip", "none", 0.0),
        Row("d", "pass", "", 1.0),
    ]
    assert summary(rows, "cpu", 3.4) == {
        "device": "cpu",
        "passed": 2,
        "failed": 1,
        "skipped": 1,
        "failures": ["b"],
        "seconds": 3,
        "speed": 1.234568,
    }
