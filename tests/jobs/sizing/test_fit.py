from dataclasses import replace

import pytest

from jobs.sizing import fit
from jobs.sizing.capacity import Capacity
from jobs.sizing.model_size import Layers, ModelSize
from physrl.config.load import load_config

SIZE = ModelSize(
    parameters=1_000_000_000,
    trained=10_000_000,
    linear=900_000_000,
    head=50_000_000,
    language=Layers(count=10, hidden=1024, queries=1024, keys=256, intermediate=4096),
    vision=Layers(count=5, hidden=512, queries=512, keys=512, intermediate=1024),
    patch=14,
)
LARGE = Capacity("a large machine", 64, 1e12, 8, 80e9, 1e12, joined=False)
CONFIG = load_config(
    None,
    [
        "model={lora: {rank: 16}, dtype: bfloat16}",
        "runtime={gpus_per_server: 0.5, inference_servers: 2, gpus_per_rank: 1, learner_ranks: 2}",
    ],
)


def verdicts(there: Capacity, *overrides: str) -> dict[str, str]:
    config = CONFIG if not overrides else load_config(None, overrides)
    return {check.what: check.verdict for check in fit.examine(config, SIZE, there)}


def test_what_fits() -> None:
    assert set(verdicts(LARGE).values()) == {"ok"}


@pytest.mark.parametrize(
    ("what", "there"),
    [
        ("GPUs", replace(LARGE, gpus=2)),  # 2 x 0.5 and 2 x 1
        ("GPU memory of a learner rank", replace(LARGE, gpu_memory=9e9)),
        ("memory of the hosts", replace(LARGE, memory=4e9)),
        ("disk", replace(LARGE, disk=1e8)),
    ],
)
def test_what_does_not(what: str, there: Capacity) -> None:
    assert {name: v for name, v in verdicts(there).items() if v != "ok"} == {what: "TOO LITTLE"}


def test_servers_that_share_a_gpu_share_its_memory() -> None:
    # Weights 2 GB, cache 0.27, work 2: a half of 8 GB is too little, a half of 16 is not.
    what = "GPU memory of an inference server"
    assert verdicts(replace(LARGE, gpu_memory=8e9))[what] == "TOO LITTLE"
    assert verdicts(replace(LARGE, gpu_memory=16e9))[what] == "ok"


def test_a_rank_and_a_server_in_turns_are_one_line() -> None:
    overrides = [
        "model={lora: {rank: 16}, dtype: bfloat16}",
        "runtime={layout: colocated, gpus_per_server: 1, gpus_per_rank: 1}",
    ]
    what = "GPU memory of a rank and a server in turns"
    one = replace(LARGE, gpus=1)
    assert set(verdicts(one, *overrides).values()) == {"ok"}
    assert verdicts(replace(one, gpu_memory=9e9), *overrides)[what] == "TOO LITTLE"


def test_a_gpu_that_does_not_say_is_no_verdict() -> None:
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
    what = "key-value cache of a server"
    assert verdicts(LARGE, long, "runtime.kv_cache_mb=32")[what] == "TOO LITTLE"
    assert verdicts(LARGE, long, "runtime.kv_cache_mb=64")[what] == "ok"
    (check,) = (
        check
        for check in fit.examine(load_config(None, [long, "runtime.kv_cache_mb=32"]), SIZE, LARGE)
        if check.what == what
    )
    assert check.remedy == "set runtime.kv_cache_mb=59 at least"  # 61.44 MB are 58.6 MiB


def test_a_verdict_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    silent = replace(LARGE, gpu_memory=None)
    monkeypatch.setattr(fit, "capacity", lambda config: silent)
    monkeypatch.setattr(fit, "model_size", lambda model: SIZE)
    assert fit.run(CONFIG)
    assert "run may fit on a large machine" in capsys.readouterr().out
    monkeypatch.setattr(fit, "capacity", lambda config: LARGE)
    demo = load_config(None, ["name=mine", "model.lora.rank=4"])
    assert fit.run(demo)
    said = capsys.readouterr().out
    assert "mine fits on a large machine" in said
    assert "physrl sft" not in said
    assert fit.run(load_config(None, ["algorithm.type=sft"]))
    assert "physrl sft starts ranks alone" in capsys.readouterr().out
    monkeypatch.setattr(fit, "capacity", lambda config: replace(LARGE, memory=1e9))
    assert not fit.run(demo)
    said = capsys.readouterr().out
    assert "TOO LITTLE: memory of the hosts: needs ≈ " in said
    assert "mine does not fit on a large machine" in said
