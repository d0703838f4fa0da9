"""Train one policy: a warm start where configured, then the run itself.

python -m jobs.train --config jobs/configs/demo.yaml name=mine
"""

import sys
from collections.abc import Sequence

from cluster.evaluation.policy import evaluate_policy
from cluster.runtime.stopping import Stopped, StopRequest, stop_on_signals
from cluster.training.actors import Cluster, start_cluster
from cluster.training.controller import Controller
from jobs.display.console import console
from jobs.display.progress import TrainingProgress
from physrl.config.algorithm import SFTConfig
from physrl.config.run import RunConfig
from physrl.data.photos import Photo, load_configured_photos
from physrl.evaluation.results import PolicyResult, load_policy_result
from physrl.report.table import make_table
from physrl.storage.checkpoints import Checkpoint
from physrl.storage.mirror import store_files
from physrl.storage.run_folder import open_run
from physrl.types import Split

RESUME = "continue with the same command and --resume"


def run(config: RunConfig) -> None:
    """Train, or go on, in the run's opened folder; evaluate before and after, print the counts."""
    photos = load_configured_photos(config)
    console.print(f"run [bold]{config.folder}[/]: starting Ray, vLLM and DeepSpeed")
    with start_cluster(config) as cluster, stop_on_signals() as stop:
        cluster.learners.start()  # while the base is measured
        try:
            results = [measure(cluster, config, "base", photos, stop)]
            checkpoint, finished = train(config, cluster, stop)
            if not finished:
                where = f"step {checkpoint.step} with {checkpoint.path}"
                console.print(f"stopped after {where}; {RESUME}")
                return
            results.append(measure(cluster, config, config.algorithm.type, photos, stop))
        except Stopped:
            console.print(f"stopped while a policy was measured; {RESUME}")
            return
    store_files(config)
    console.print(make_table(results, f"{config.name} on held-out scenes"))
    console.print(f"checkpoint {checkpoint.path}\nreport: physrl report {config.folder}")


def measure(
    cluster: Cluster, config: RunConfig, policy: str, photos: Sequence[Photo], stop: StopRequest
) -> PolicyResult:
    """Evaluate what the servers hold and keep the answers in the run's folder.

    What a run that was stopped has measured is not measured again.

    Raises:
        Stopped: a stop was requested meanwhile.
    """
    path = config.folder / "evaluation" / f"{policy}.json"
    if path.exists():
        return load_policy_result(path)
    with console.status("waiting for vLLM"):
        cluster.wait_for_servers()
    with console.status(f"evaluating {policy}"):
        result = evaluate_policy(cluster, config, policy, photos, stop)
    result.save(path)
    return result


def train(config: RunConfig, cluster: Cluster, stop: StopRequest) -> tuple[Checkpoint, bool]:
    """All phases of a run; the last checkpoint, and whether the run is finished."""
    if config.warm_start is not None:
        checkpoint, finished = train_phase(warm_config(config), cluster, stop, "warm")
        if not finished:
            return checkpoint, False
        config = started_from(config, checkpoint)
    return train_phase(config, cluster, stop, "train")


def train_phase(
    config: RunConfig, cluster: Cluster, stop: StopRequest, split: Split
) -> tuple[Checkpoint, bool]:
    """One algorithm from its first step, or its newest checkpoint, to its last."""
    with TrainingProgress(console, config.name, config.algorithm.steps) as progress:
        checkpoint = Controller(config, cluster, progress, stop, split).train()
    return checkpoint, checkpoint.step == config.algorithm.steps


def warm_config(config: RunConfig) -> RunConfig:
    """The warm start as a run of its own, inside the run's folder."""
    assert config.warm_start is not None
    return inner_run(config, "warm", config.warm_start)


def inner_run(config: RunConfig, name: str, algorithm: SFTConfig) -> RunConfig:
    """A run with another algorithm inside this run's folder, opened with its own config.yaml."""
    changes = {
        "name": name,
        "output": config.folder,
        "storage": config.stored,
        "algorithm": algorithm,
        "warm_start": None,
    }
    inner = config.model_copy(update=changes)
    open_run(inner, resume=True)
    return inner


def started_from(config: RunConfig, checkpoint: Checkpoint) -> RunConfig:
    """The same run, from a checkpoint's weights instead of the base model's."""
    key, folder = ("path", "model") if config.model.lora is None else ("adapter", "adapter")
    model = config.model.model_copy(update={key: str(checkpoint.path / folder)})
    return config.model_copy(update={"model": model, "warm_start": None})


if __name__ == "__main__":
    from jobs.cli import main

    main(["train", *sys.argv[1:]])
