"""Throughput of training against TRL's GRPOTrainer on the same prompts; overhead of the loop.

    make bench-train

Both train the tiny base on the same scenes, one after the other, on the same cores, with the same
images, group size, completion length, updates and learning rate. This project also samples the
scenes and simulates the actions in PyBullet; TRL reads its prompts from a file, and its reward
costs nothing. TRL runs in one and in two processes, of which the faster counts; physrl in sync
mode, and in async mode with a staleness of at most one step. `loop_phases.py` and
`async_speedup.py` follow. Leave the machine idle. Prints tables, then one JSON line.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

import async_speedup
import loop_phases
from rich.console import Console
from rich.table import Table

from physrl.config.load import validate
from physrl.config.run import RunConfig

ROOT = Path(__file__).parents[2]
WARM_UP = 2
"""Number of steps that do not count: caches fill, and TRL's first generation is slower."""
LENGTH = 24
RATE = 5e-4
ALONE = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


TRL_PROCESSES = {"TRL, one process": 1, "TRL, two processes": 2}
"""Processes of TRL, of one thread each as here: a second thread is slower where anything else
runs."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", default=str(ROOT / ".venv-peers/bin/python"))
    parser.add_argument("--group", type=int, default=16)
    parser.add_argument("--prompts", type=int, default=16, help="per step")
    parser.add_argument("--steps", type=int, default=12)
    options = parser.parse_args()
    os.environ.update(ALONE)
    with tempfile.TemporaryDirectory() as folder:
        config = run_config(options, Path(folder))
        figures = compare_with_trl(config, options.peers, Path(folder))
    figures |= loop_phases.measure() | async_speedup.measure()
    print(json.dumps({name: round(value, 3) for name, value in figures.items()}))


def run_config(options: argparse.Namespace, folder: Path) -> RunConfig:
    """Make the configuration: GRPO on the tiny base as in the demo, with one update per rollout."""
    return validate(
        {
            "name": "physrl",
            "output": str(folder),
            "environment": {"num_blocks": [2, 4]},
            "model": {
                "path": str(ROOT / "assets/tiny-base"),
                "max_prompt_tokens": 96,
                "max_completion_tokens": LENGTH,
            },
            "algorithm": {
                "type": "grpo",
                "steps": options.steps,
                "prompts_per_step": options.prompts,
                "group_size": options.group,
                "lr": RATE,
                "decay": "linear",
                "warmup_fraction": 0.0,
                "weight_decay": 0.0,
                "max_grad_norm": 1.0,
            },
            "checkpoint": {"every": options.steps},
            "runtime": {"batching": "fixed"},
        }
    )


def compare_with_trl(config: RunConfig, peers: str, folder: Path) -> dict[str, float]:
    """Compute the ratios of this project's throughput to TRL's best."""
    prompts = folder / "prompts.parquet"
    write_prompts(config, prompts)
    rates = {}
    for mode in ("sync", "async"):
        runtime = config.runtime.model_copy(update={"mode": mode})
        ours = config.model_copy(update={"name": mode, "runtime": runtime})
        rates[mode] = completions_per_second(ours, time_physrl(ours))
    for name, processes in TRL_PROCESSES.items():
        seconds = time_trl(config, processes, peers, prompts, folder / "trl.json")
        rates[name] = completions_per_second(config, seconds)
    best = max(rates[name] for name in TRL_PROCESSES)
    table = Table("trainer", "completions/s", "vs. TRL's best")
    for name, rate in rates.items():
        table.add_row(name, f"{rate:.1f}", f"{rate / best:.2f}")
    Console(width=100).print(table)
    return {"vs_trl": rates["async"] / best, "vs_trl_sync": rates["sync"] / best}


def completions_per_second(config: RunConfig, seconds: list[float]) -> float:
    algorithm = config.algorithm
    rate = algorithm.completions_per_step * len(seconds) / sum(seconds)
    print(f"{rate:.1f} completions/s, steps of", *(f"{each:.2f}" for each in seconds), "s")
    return rate


def write_prompts(config: RunConfig, path: Path) -> None:
    """Write the prompts of all steps for TRL: an image and a conversation of one turn."""
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq
    from PIL import Image

    from physrl.environments.renderer import make_renderer
    from physrl.scene_source import prepare, scene_source

    renderer = make_renderer(config.environment)
    indices = range(config.algorithm.steps * config.algorithm.prompts_per_step)
    _, prompts = prepare(scene_source(config, config.task, "train"), indices, renderer)
    renderer.close()
    rows = []
    for prompt in prompts:
        (turn,) = prompt.turns
        png = io.BytesIO()
        Image.fromarray(turn.images[0]).save(png, "PNG")
        rows.append(
            {
                "image": {"bytes": png.getvalue(), "path": None},
                "prompt": [{"role": turn.role, "content": turn.text}],
            }
        )
    image = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    turns = pa.list_(pa.struct({"role": pa.string(), "content": pa.string()}))
    pq.write_table(pa.Table.from_pylist(rows, pa.schema({"image": image, "prompt": turns})), path)


def time_trl(
    config: RunConfig, processes: int, peers: str, prompts: Path, out: Path
) -> list[float]:
    """Measure the seconds of each step after the warm-up."""
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
    algorithm = config.algorithm
    subprocess.run(
        [
            peers,
            *([*launch, str(processes)] if processes > 1 else []),
            str(Path(__file__).with_name("trl_train.py")),
            str(prompts),
            str(out),
            f"--model={config.model.path}",
            f"--group={algorithm.group_size}",
            f"--prompts={algorithm.prompts_per_step}",
            f"--steps={algorithm.steps}",
            f"--warm-up={WARM_UP}",
            f"--length={LENGTH}",
            f"--rate={algorithm.lr}",
        ],
        check=True,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
        stdout=sys.stderr,
    )
    seconds: list[float] = json.loads(out.read_text())
    return seconds


def time_physrl(config: RunConfig) -> list[float]:
    """Measure the seconds of each step after the warm-up, between lines of the run's metrics."""
    from cluster.runtime.stopping import StopRequest
    from cluster.training.actors import start_actors
    from cluster.training.controller import Controller
    from physrl.metrics import read_metrics

    with start_actors(config) as actors:
        Controller(config, actors, loop_phases.Quiet(), StopRequest()).train()
    rows = read_metrics(config.folder)
    for name in (key for key in rows[-1] if key.startswith("time/")):
        print(name, *(f"{row.get(name, 0.0):.2f}" for row in rows))
    ends = [row["time"] for row in rows]
    return [end - start for start, end in pairwise(ends)][WARM_UP - 1 :]


if __name__ == "__main__":
    main()
