"""Train and measure a policy without language, for comparison.

python -m jobs.baseline --config jobs/configs/baseline.yaml task=place_x
"""

import sys
import time

import yaml

from cluster.baseline import NetworkPolicy, evaluate_baseline, training
from cluster.session import ray_session
from cluster.stopping import stop_on_signals
from jobs.console import console
from jobs.progress import TrainingProgress
from physrl.config.baseline import BaselineConfig, load_baseline_config
from physrl.config.run import RuntimeConfig
from physrl.data.photos import load_photos
from physrl.errors import ConfigError
from physrl.metrics import MetricsWriter
from physrl.report.table import make_table
from physrl.storage.checkpoints import Checkpoint, Checkpoints
from physrl.storage.run_folder import CONFIG


def run(config: BaselineConfig, *, resume: bool) -> None:
    """Train, or go on, in the run's folder; evaluate, print and keep the counts.

    Raises:
        ConfigError: the folder cannot be written, holds a run that was not to be resumed, or one
            of another configuration.
    """
    _open(config, resume)
    real = config.evaluation.real_images
    photos = () if real is None else load_photos(real)
    checkpoint = _train(config)
    if checkpoint.step < config.ppo.iterations:
        console.print(f"stopped after iteration {checkpoint.step}; continue with --resume")
        return
    with console.status("evaluating"):
        policy = NetworkPolicy(config, checkpoint.path)
        result = evaluate_baseline(config, policy, photos)
    path = config.folder / "evaluation" / f"{config.name}.json"
    result.save(path)
    console.print(make_table([result], f"{config.name} on held-out scenes"))
    console.print(f"checkpoint {checkpoint.path}\nanswers: {path}", soft_wrap=True)


def _open(config: BaselineConfig, resume: bool) -> None:
    """The run's folder, with its configuration in it."""
    path = config.folder / CONFIG
    text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
    try:
        config.folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_text(text)
            return
        if not resume:
            raise ConfigError(
                f"{config.folder} already holds a run: continue it with --resume, choose another "
                "name=, or delete the folder"
            )
        if load_baseline_config(path) != config:
            raise ConfigError(
                f"{config.folder} holds a run of another configuration ({CONFIG}): resume it with "
                "the same values, or choose another name="
            )
    except OSError as error:
        raise ConfigError(
            f"output folder {config.folder} cannot be written: {error.strerror or error}: set "
            "output= to another folder"
        ) from None


def _train(config: BaselineConfig) -> Checkpoint:
    """All iterations that the newest checkpoint has not; the last checkpoint."""
    checkpoints = Checkpoints(config.folder, config.checkpoint.keep_last)
    newest = checkpoints.latest()
    done = 0 if newest is None else newest.step
    if newest is not None and done >= config.ppo.iterations:
        return newest
    writer = MetricsWriter(config.folder)
    writer.truncate_after(done)
    with (
        ray_session(RuntimeConfig(rollout_workers=config.workers + 2)),
        training(config, done) as baseline,
        stop_on_signals() as stop,
        TrainingProgress(console, config.name, config.ppo.iterations) as progress,
    ):
        if newest is not None:
            baseline.restore(newest.path)
        for iteration in range(done + 1, config.ppo.iterations + 1):
            began = time.monotonic()
            metrics = baseline.train()
            metrics["time/step_s"] = time.monotonic() - began
            writer.write(iteration, metrics)
            progress.step(iteration, metrics)
            last = iteration == config.ppo.iterations or stop.requested
            if last or iteration % config.checkpoint.every == 0:
                newest = checkpoints.commit(iteration, {}, baseline.save)
            if last:
                break
    writer.close()
    assert newest is not None  # committed at the last iteration
    return newest


if __name__ == "__main__":
    from jobs.cli import main

    main(["baseline", *sys.argv[1:]])
