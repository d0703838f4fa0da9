from dataclasses import replace

import pytest

from jobs.sizing.capacity import Capacity
from jobs.sizing.fit import check_fit
from physrl.config.load import load_config
from tests.support.sizes import BILLION, LARGE

CONFIG = load_config(
    None,
    [
        "model={lora: {rank: 16}, dtype: bfloat16}",
        "runtime={gpus_per_server: 0.5, inference_servers: 2, gpus_per_rank: 1, learner_ranks: 2}",
    ],
)


def verdicts(capacity: Capacity, *overrides: str) -> dict[str, str]:
    config = CONFIG if not overrides else load_config(None, overrides)
    return {check.resource: check.verdict for check in check_fit(config, BILLION, capacity)}


def test_a_run_that_fits() -> None:
    assert set(verdicts(LARGE).values()) == {"ok"}


@pytest.mark.parametrize(
    ("resource", "capacity"),
    [
        ("GPUs", replace(LARGE, gpus=2)),  # 2 x 0.5 and 2 x 1
        ("GPU memory of a learner rank", replace(LARGE, gpu_memory=9e9)),
        ("host memory", replace(LARGE, memory=4e9)),
        ("disk", replace(LARGE, disk=1e8)),
    ],
)
def test_a_resource_that_is_too_small(resource: str, capacity: Capacity) -> None:
    short = {name: verdict for name, verdict in verdicts(capacity).items() if verdict != "ok"}
    assert short == {resource: "TOO LITTLE"}


def test_servers_that_share_a_gpu_share_its_memory() -> None:
    # Weights 2 GB, cache 0.27, work 2: a half of 8 GB is too little, a half of 16 is not.
    resource = "GPU memory of an inference server"
    assert verdicts(replace(LARGE, gpu_memory=8e9))[resource] == "TOO LITTLE"
    assert verdicts(replace(LARGE, gpu_memory=16e9))[resource] == "ok"


def test_a_rank_and_a_server_that_share_a_gpu_are_one_line() -> None:
    overrides = [
        "model={lora: {rank: 16}, dtype: bfloat16}",
        "runtime={layout: colocated, gpus_per_server: 1, gpus_per_rank: 1}",
    ]
    resource = "GPU memory of a rank and a server that take turns"
    one = replace(LARGE, gpus=1)
    assert set(verdicts(one, *overrides).values()) == {"ok"}
    assert verdicts(replace(one, gpu_memory=9e9), *overrides)[resource] == "TOO LITTLE"


def test_an_unknown_gpu_memory_is_no_verdict() -> None:
    assert verdicts(replace(LARGE, gpu_memory=None))["GPU memory of a learner rank"] == "?"


def test_few_cores_are_slow_here_and_too_few_on_a_cluster() -> None:
    few = replace(LARGE, cores=2)
    assert verdicts(few)["cores"] == "slow"
    # 2 x 0.5, 2 x 0.25 and 2 x 0.5 are reserved.
    assert verdicts(replace(few, joined=True))["cores"] == "TOO LITTLE"
    assert verdicts(replace(few, cores=3, joined=True))["cores"] == "ok"


def test_a_cache_holds_one_sequence() -> None:
    # 2 x 10 layers x 256 x 4 bytes: 20 kB a token, 20 MB a thousand.
    long = "model={max_prompt_tokens: 2000, max_completion_tokens: 1000}"
    resource = "key-value cache of a server"
    assert verdicts(LARGE, long, "runtime.kv_cache_mb=32")[resource] == "TOO LITTLE"
    assert verdicts(LARGE, long, "runtime.kv_cache_mb=64")[resource] == "ok"
    (check,) = (
        check
        for check in check_fit(load_config(None, [long, "runtime.kv_cache_mb=32"]), BILLION, LARGE)
        if check.resource == resource
    )
    assert check.remedy.endswith("runtime.kv_cache_mb to at least 59")  # 61.44 MB are 58.6 MiB
