"""Train on ideal answers with Ray Train.

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
    """Train or resume in the run's opened folder."""
    console.print(f"run [bold]{config.folder}[/]: starting Ray and DeepSpeed", soft_wrap=True)
    # No servers are started, so the cluster needs no room for them.
    without_servers = {"gpus_per_server": 0, "layout": "disaggregated"}
    with (
        ray_session(config.runtime.model_copy(update=without_servers)),
        stop_on_signals() as stop,
        TrainingProgress(console, config.name, config.algorithm.steps) as progress,
    ):
        checkpoint = train_sft(config, progress, stop)
    if checkpoint.step < config.algorithm.steps:
        console.print(
            f"stopped after step {checkpoint.step} with {checkpoint.path}; resume with the same "
            "command and --resume",
            soft_wrap=True,
        )
        return
    store_files(config)
    console.print(
        f"checkpoint {checkpoint.path}\nevaluate: physrl evaluate --config "
        f"{config.folder / CONFIG} --policy {checkpoint.path}",
        soft_wrap=True,
    )


if __name__ == "__main__":
    from jobs.cli import main

    main(["sft", *sys.argv[1:]])
