"""The whole pipeline on one machine: warm start, GRPO and SFT from it, evaluation, report.

tiny base -> warm (SFT) -+-> grpo --+
                         +-> sft  --+-> base, warm, grpo, sft on held-out scenes -> report
"""

import json
import os
import platform
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cluster.runtime.stopping import Stopped, StopRequest, stop_on_signals
from cluster.training.actors import RunActors, start_actors
from cluster.training.phases import (
    inner_run,
    started_from,
    train_phase,
    trained_model,
    warm_config,
)
from jobs.display.console import console
from jobs.display.progress import show_training
from jobs.report import write
from jobs.sizing.peak_memory import PeakMemory
from jobs.train import RESUME, evaluate_once, show_results
from physrl.config.model import ModelConfig
from physrl.config.run import RunConfig
from physrl.config.study import Decoding
from physrl.data.photos import load_configured_photos
from physrl.evaluation.measurements import Measurement
from physrl.storage.checkpoints import Checkpoint
from physrl.storage.mirror import store_files
from physrl.storage.run_folder import has_trained
from physrl.types import Split

INSTALL_SECONDS = Path(".venv") / "install-seconds"
"""File in which `make install` writes its duration."""


def run(config: RunConfig) -> None:
    """Run or resume all phases in the run's opened folder.

    Prints a table, the path of the report, and one line of JSON.
    """
    with PeakMemory() as memory:
        try:
            results, seconds = _train_and_evaluate(config)
        except Stopped:
            console.print(f"stopped; {RESUME}" if has_trained(config.folder) else "stopped")
            return
    with _timed(seconds, "report"):
        facts = {f"{name} (s)": f"{value:.0f}" for name, value in seconds.items()}
        facts |= {
            "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"
        }
        facts |= {"peak memory (GB)": f"{memory.gigabytes:.1f}"}
        report = write(config, facts)
    store_files(config)
    show_results(results, config.name)
    lines = f"report: {report}\nTensorBoard: tensorboard --logdir {config.folder}"
    console.print(lines, soft_wrap=True)
    print(json.dumps(summary(config.task, results, seconds, memory.gigabytes)))


def sft_run(config: RunConfig, warm: Checkpoint) -> RunConfig:
    """Open the SFT run from the warm start, with the scenes and number of updates of the RL run."""
    rl = config.algorithm
    assert config.warm_start is not None
    algorithm = config.warm_start.model_copy(
        update={
            "steps": rl.steps,
            "prompts_per_step": rl.prompts_per_step,
            "updates_per_rollout": rl.updates_per_rollout,
        }
    )
    return inner_run(started_from(config, warm), "sft", algorithm)


def summary(
    trained: str, measured: Sequence[Measurement], seconds: dict[str, float], peak_gigabytes: float
) -> dict[str, object]:
    """Summarize successes and totals by task and policy, times and memory: the last line.

    Args:
        trained: Task of the run, the only one whose sampled answers are told as well.
    """
    measures: dict[str, tuple[str, Decoding]] = {
        trained: (trained, "sampled"),
        f"{trained}_greedy": (trained, "greedy"),
        "stability": ("stability", "greedy"),
        "real": ("real", "greedy"),
    }
    tables: dict[str, object] = {}
    for key, (task, decoding) in measures.items():
        tables[key] = {
            each.policy: [each.result.count.successes, each.result.count.total]
            for each in measured
            if (each.result.task, each.result.decoding) == (task, decoding)
            and each.result.condition.test_set in ("iid", "real")
        }
    rounded = {name: round(value, 1) for name, value in seconds.items()}
    return {**tables, "seconds": rounded, "peak_rss_gb": round(peak_gigabytes, 2)}


def _train_and_evaluate(config: RunConfig) -> tuple[list[Measurement], dict[str, float]]:
    seconds = _install_seconds()
    photos = load_configured_photos(config)
    began = time.monotonic()
    console.print(f"run [bold]{config.folder}[/]: starting Ray, vLLM and DeepSpeed", soft_wrap=True)
    with start_actors(config) as actors, stop_on_signals() as stop:
        actors.learner.start()  # in the background of the first evaluation
        results: list[Measurement] = []

        def evaluate(policy: str, model: ModelConfig) -> None:
            if stop.requested:
                raise Stopped
            with _timed(seconds, "evaluate"):
                results.extend(evaluate_once(actors, config, policy, model, photos, stop))

        with _timed(seconds, "start vLLM"), console.status("waiting for vLLM"):
            actors.servers.wait()
        evaluate("base", config.model)
        with _timed(seconds, "warm"):
            warm = _phase(warm_config(config), actors, stop)
        evaluate("warm", trained_model(config.model, warm.path))
        with _timed(seconds, "train"):
            trained = _phase(started_from(config, warm), actors, stop)
        evaluate(config.algorithm.type, trained_model(config.model, trained.path))
        with _timed(seconds, "sft"):
            tuned = _phase(sft_run(config, warm), actors, stop)
        evaluate("sft", trained_model(config.model, tuned.path))
    seconds["total"] = time.monotonic() - began
    return results, seconds


def _phase(config: RunConfig, actors: RunActors, stop: StopRequest) -> Checkpoint:
    split: Split = "warm" if config.name == "warm" else "train"
    checkpoint, finished = train_phase(config, actors, stop, show_training, split)
    if not finished:
        told = f"{config.name} stopped after step {checkpoint.step}: {checkpoint.path}"
        console.print(told, soft_wrap=True)
        raise Stopped
    return checkpoint


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    seconds[name] = seconds.get(name, 0.0) + time.monotonic() - began


def _install_seconds() -> dict[str, float]:
    if not INSTALL_SECONDS.exists():
        return {}
    return {"install": float(INSTALL_SECONDS.read_text())}
