"""Train on ideal answers alone, under Ray Train.

python -m jobs.sft --config jobs/configs/sft.yaml runtime.learner_ranks=2
"""

import sys

from cluster.runtime.session import ray_session
from cluster.runtime.stopping import stop_on_signals
from cluster.training.sft import train_sft
from jobs.display.console import console
from jobs.display.progress import TrainingProgress
from physrl.config.run import RunConfig
from physrl.storage.mirror import store_files
from physrl.storage.run_files import CONFIG


def run(config: RunConfig) -> None:
    """Train, or go on, in the run's opened folder."""
    console.print(f"run [bold]{config.folder}[/]: starting Ray and DeepSpeed")
    # No servers are started: the cluster need have no room for them.
    ranks_alone = {"gpus_per_server": 0, "layout": "disaggregated"}
    with (
        ray_session(config.runtime.model_copy(update=ranks_alone)),
        stop_on_signals() as stop,
        TrainingProgress(console, config.name, config.algorithm.steps) as progress,
    ):
        checkpoint = train_sft(config, progress, stop)
    if checkpoint.step < config.algorithm.steps:
        where = f"step {checkpoint.step} with {checkpoint.path}"
        console.print(f"stopped after {where}; continue with the same command and --resume")
        return
    store_files(config)
    console.print(
        f"checkpoint {checkpoint.path}\nmeasure it: physrl evaluate --config "
        f"{config.folder / CONFIG} --policy {checkpoint.path}",
        soft_wrap=True,
    )


if __name__ == "__main__":
    from jobs.cli import main

    main(["sft", *sys.argv[1:]])
