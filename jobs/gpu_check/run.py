"""The checks in their order, with the configurations that they need."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ray
from rich.table import Table

from cluster.runtime.session import ray_session
from jobs.arguments.device import Device
from jobs.display.console import console
from jobs.gpu_check import RANDOM
from jobs.gpu_check.colocated import takes_turns
from jobs.gpu_check.machine import communication, driver
from jobs.gpu_check.random_model import save_random
from jobs.gpu_check.rows import Check, Finding, Row, perform
from jobs.gpu_check.served import full_weights_sync, split_server_syncs
from jobs.gpu_check.trained import (
    TrainedRun,
    adapter_syncs,
    generation_speed,
    rewarded_answers_rise,
    sampler_agrees,
    two_steps,
    update_speed,
)
from physrl.config.model import ModelConfig
from physrl.config.run import RunConfig
from physrl.errors import UserError

SERVED_PROMPTS = 2
REPORT = "report this with the table and the log"
DOCTOR = "physrl doctor lists what is missing"
MOST_GPUS = 2
"""GPUs that the checks use."""
COUNTED = {"passed": "pass", "failed": "fail", "skipped": "skip"}
"""Keys of the last line, and the status that each counts."""


def run(config: RunConfig, device: Device) -> bool:
    """Perform all checks, and print a table and one line of JSON; return whether none failed.

    What they write is in a folder of its own in `config.output`, which is removed at the end.

    Raises:
        UserError: there is no GPU.
    """
    began = time.monotonic()
    config.output.mkdir(parents=True, exist_ok=True)
    folder = TemporaryDirectory(dir=config.output, prefix="gpu-check-", ignore_cleanup_errors=True)
    with ray_session(on_device(config, 0).runtime), folder as place:
        gpus = 0 if device is Device.CPU else _count_gpus()
        name = _device_name(gpus)
        console.print(f"checking {gpus or 'no'} GPU{'s' * (gpus != 1)}: {name}")
        placed = config.model_copy(update={"output": Path(place), "storage": None})
        rows = []
        with _checks(on_device(placed, gpus), gpus, name) as checks:
            for row in perform(checks):
                rows.append(row)
                console.print(f"{row.status:4}  {row.name}  {row.seconds:.0f} s", markup=False)
    show(rows)
    print(json.dumps(summary(rows, name, time.monotonic() - began)))
    return not any(row.status == "fail" for row in rows)


def _count_gpus() -> int:
    """Count the GPUs to check: those of the cluster, at most `MOST_GPUS`.

    Raises:
        UserError: there is none.
    """
    found = int(ray.cluster_resources().get("GPU", 0))
    if not found:
        raise UserError(
            "--device is gpu but Ray finds no GPU: see physrl doctor, or check the installation "
            "with --device cpu"
        )
    return min(MOST_GPUS, found)


def on_device(config: RunConfig, gpus: int) -> RunConfig:
    """Return the configuration for so many GPUs: one is shared, of two each actor has one."""
    each = min(gpus, 1)
    tree = config.model_dump(mode="json")
    tree["runtime"] |= {
        "layout": "colocated" if gpus == 1 else "disaggregated",
        "mode": "sync",
        "inference_servers": 1,
        "learner_ranks": 1,
        "gpus_per_server": each,
        "gpus_per_rank": each,
        "batching": "continuous" if gpus else "fixed",
    }
    if not gpus:
        tree["runtime"] |= {"kv_cache_mb": 64, "max_num_seqs": 16}
        tree["model"] |= {"max_completion_tokens": min(16, config.model.max_completion_tokens)}
    return RunConfig.model_validate(tree)


@contextmanager
def _checks(config: RunConfig, gpus: int, device: str) -> Iterator[Iterator[Check]]:
    """Make the checks; the actors of the run are stopped when they are no longer needed."""
    checker = _Checker(config, gpus, device)
    try:
        yield checker.checks()
    finally:
        checker.trained.stop()


class _Checker:
    """The configurations of the checks, whose model is made by one of them."""

    def __init__(self, config: RunConfig, gpus: int, device: str) -> None:
        self._config, self._gpus = config, gpus
        self._model = config.output / "model"
        self._layers = config.output / "layers"
        served = self._config.model
        if config.model.path == RANDOM:
            served = served.model_copy(update={"path": str(self._model)})
        self.trained = TrainedRun(config.model_copy(update={"model": served}), device)

    def checks(self) -> Iterator[Check]:
        """Yield the checks in their order."""
        trained, gpus = self.trained, self._gpus
        yield Check("driver and CUDA", partial(driver, gpus), DOCTOR)
        remedy = "set NCCL_DEBUG=INFO and read the log of the ranks; check NCCL_SOCKET_IFNAME"
        yield Check("communication", partial(communication, gpus), remedy)
        yield Check("model", self._save_models, f"free the disk of {self._config.output.parent}")
        for name, check, remedy in (
            ("vLLM agrees with the learner", sampler_agrees, REPORT),
            ("rewarded answers rise", rewarded_answers_rise, REPORT),
            ("adapter sync", adapter_syncs, REPORT),
            ("generation speed", generation_speed, REPORT),
            ("update speed", update_speed, "lower runtime.tokens_per_micro_batch"),
            ("two steps of training", two_steps, REPORT),
            ("sleep and wake", self._takes_turns, "lower runtime.kv_cache_mb; " + REPORT),
        ):
            yield Check(name, partial(check, trained), remedy)
        trained.stop()
        prompts = partial(trained.prompts, SERVED_PROMPTS)
        layers = self._few_layers()
        runtime = self._config.runtime
        yield Check(
            "full weight sync",
            lambda: full_weights_sync(layers, runtime, prompts()),
            REPORT,
        )
        yield Check(
            "tensor parallelism",
            lambda: split_server_syncs(layers, runtime, prompts(), gpus),
            "check the link between the GPUs: nvidia-smi topo -m",
        )

    def _save_models(self) -> Finding:
        """Write the random models, on a machine with a GPU if there are any."""
        save: Any = ray.remote(save_random).options(num_cpus=0, num_gpus=min(self._gpus, 1))
        texts = [prompt.text for prompt in self.trained.prompts(1)]
        dtype = self._config.model.dtype
        calls = [save.remote(self._layers, texts, dtype, self._gpus, layers=2)]
        if self._config.model.path == RANDOM:
            calls.append(save.remote(self._model, texts, dtype, self._gpus))
        sizes = ray.get(calls)
        named = self._config.model.path
        return Finding(f"{named}, {sizes[-1]:,} parameters" if len(sizes) > 1 else named)

    def _takes_turns(self, trained: TrainedRun) -> Finding:
        """Check the sharing of a GPU, by actors of its own where there are two."""
        if self._gpus < 2:
            return takes_turns(trained)
        trained.stop()
        shared = TrainedRun(_colocated(trained.config), trained.device)
        try:
            return takes_turns(shared)
        finally:
            shared.stop()

    def _few_layers(self) -> ModelConfig:
        """Return the random model of few layers, whose weights are cheap to replace."""
        return self._config.model.base.model_copy(update={"path": str(self._layers)})


def _colocated(config: RunConfig) -> RunConfig:
    return config.model_copy(update={"runtime": on_device(config, 1).runtime})


def _device_name(gpus: int) -> str:
    """Return the name of the first GPU; `cpu` without one."""
    if not gpus:
        return "cpu"
    name = ray.remote(_gpu_name).options(num_cpus=0, num_gpus=1).remote()
    return str(ray.get(name))


def _gpu_name() -> str:
    import torch

    return str(torch.cuda.get_device_name())


def show(rows: list[Row]) -> None:
    """Print the table, and what to do about failures."""
    table = Table("", "check", "s", "found")
    for row in rows:
        table.add_row(row.status, row.name, f"{row.seconds:.0f}", row.found)
    console.print(table)
    for row in rows:
        if row.remedy:
            console.print(f"{row.name}: {row.remedy}", markup=False, soft_wrap=True)


def summary(rows: list[Row], device: str, seconds: float) -> dict[str, Any]:
    """Make the last line: counts, names of failures, figures."""
    counts = {key: sum(row.status == status for row in rows) for key, status in COUNTED.items()}
    figures = {name: round(value, 6) for row in rows for name, value in row.figures.items()}
    failures = [row.name for row in rows if row.status == "fail"]
    return {"device": device, **counts, "failures": failures, "seconds": round(seconds), **figures}
