"""The phases of a run: a warm start if configured, then training by the run's algorithm."""

from pathlib import Path

from cluster.runtime.stopping import StopRequest
from cluster.training.actors import RunActors
from cluster.training.controller import Controller
from cluster.training.reporter import Progress
from physrl.config.algorithm import SFTConfig
from physrl.config.model import ModelConfig
from physrl.config.run import RunConfig
from physrl.storage.checkpoints import Checkpoint
from physrl.storage.run_folder import open_run
from physrl.types import Split


def train(
    config: RunConfig, actors: RunActors, stop: StopRequest, progress: Progress
) -> tuple[Checkpoint, bool]:
    """Run all phases; return the last checkpoint, and True unless a stop was requested."""
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
    """Train by one algorithm up to its last step, from the newest checkpoint if there is one."""
    with progress(config.name, config.algorithm.steps) as reporter:
        checkpoint = Controller(config, actors, reporter, stop, split).train()
    return checkpoint, checkpoint.step == config.algorithm.steps


def warm_config(config: RunConfig) -> RunConfig:
    """Open the warm start as a run of its own in a subfolder of the run."""
    assert config.warm_start is not None
    return inner_run(config, "warm", config.warm_start)


def inner_run(config: RunConfig, name: str, algorithm: SFTConfig) -> RunConfig:
    """Open a run by another algorithm in a subfolder of this run, with its own config.yaml."""
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
    """Return the run with the weights of a checkpoint in place of the base model's."""
    model = trained_model(config.model, checkpoint.path)
    return config.model_copy(update={"model": model, "warm_start": None})


def trained_model(model: ModelConfig, checkpoint: Path) -> ModelConfig:
    """Return a model with the weights of a checkpoint that was trained from it."""
    if model.lora is not None:
        return model.model_copy(update={"adapter": str(checkpoint / "adapter")})
    return model.model_copy(update={"path": str(checkpoint / "model"), "revision": None})
