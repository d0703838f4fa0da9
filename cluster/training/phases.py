"""The phases of a run: a warm start where configured, then the run's own algorithm."""

from cluster.runtime.stopping import StopRequest
from cluster.training.actors import RunActors
from cluster.training.controller import Controller
from cluster.training.reporter import Progress
from physrl.config.algorithm import SFTConfig
from physrl.config.run import RunConfig
from physrl.storage.checkpoints import Checkpoint
from physrl.storage.run_folder import open_run
from physrl.types import Split


def train(
    config: RunConfig, actors: RunActors, stop: StopRequest, progress: Progress
) -> tuple[Checkpoint, bool]:
    """Run all phases; return the last checkpoint, and whether the run is finished."""
    if config.warm_start is not None:
        checkpoint, finished = train_phase(warm_config(config), actors, stop, progress, "warm")
        if not finished:
            return checkpoint, False
        config = started_from(config, checkpoint)
    return train_phase(config, actors, stop, progress)


def train_phase(
    config: RunConfig,
    actors: RunActors,
    stop: StopRequest,
    progress: Progress,
    split: Split = "train",
) -> tuple[Checkpoint, bool]:
    """Run one algorithm from its first step, or its newest checkpoint, to its last."""
    with progress(config.name, config.algorithm.steps) as reporter:
        checkpoint = Controller(config, actors, reporter, stop, split).train()
    return checkpoint, checkpoint.step == config.algorithm.steps


def warm_config(config: RunConfig) -> RunConfig:
    """Make the warm start a run of its own, inside the run's folder."""
    assert config.warm_start is not None
    return inner_run(config, "warm", config.warm_start)


def inner_run(config: RunConfig, name: str, algorithm: SFTConfig) -> RunConfig:
    """Open a run with another algorithm inside this run's folder, with its own config.yaml."""
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
    """Start the run from a checkpoint's weights instead of the base model's."""
    key, folder = ("path", "model") if config.model.lora is None else ("adapter", "adapter")
    model = config.model.model_copy(update={key: str(checkpoint.path / folder)})
    return config.model_copy(update={"model": model, "warm_start": None})
