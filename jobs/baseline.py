"""Train and measure a policy without language, for comparison.

python -m jobs.baseline --config jobs/configs/baseline.yaml task=place_x
"""

import sys
from collections.abc import Sequence
from contextlib import closing

import yaml

from cluster.baseline.network import NetworkPolicy
from cluster.baseline.ppo import train_baseline
from cluster.runtime.session import ray_session
from cluster.runtime.stopping import stop_on_signals
from jobs.display.console import console
from jobs.display.progress import TrainingProgress
from physrl.config.baseline import BaselineConfig, load_baseline_config
from physrl.config.runtime import RuntimeConfig
from physrl.config.study import Decoding
from physrl.data.photos import Photo, load_photos
from physrl.errors import ConfigError
from physrl.evaluation.cell_plan import make_cell
from physrl.evaluation.local import evaluate_cell
from physrl.evaluation.result_files import SUFFIX, save_policy_result
from physrl.evaluation.results import CellResult, PolicyResult
from physrl.evaluation.specs import CellSettings, Condition, Subject
from physrl.report.table import make_table
from physrl.storage.run_files import CONFIG
from physrl.world import World


def run(config: BaselineConfig, *, resume: bool) -> None:
    """Train, or go on, in the run's folder; evaluate, print and keep the counts.

    Raises:
        UserError: the photographs or the folder are unfit, as `open_baseline` says.
    """
    real = config.evaluation.real_images
    photos = () if real is None else load_photos(real)
    open_baseline(config, resume=resume)
    with (
        ray_session(RuntimeConfig(rollout_workers=config.workers + 2)),
        stop_on_signals() as stop,
        TrainingProgress(console, config.name, config.ppo.iterations) as progress,
    ):
        checkpoint = train_baseline(config, progress, stop)
    if checkpoint.step < config.ppo.iterations:
        console.print(f"stopped after iteration {checkpoint.step}; continue with --resume")
        return
    with console.status("evaluating"):
        policy = NetworkPolicy(config, checkpoint.path)
        result = evaluate_baseline(config, policy, photos)
    path = config.folder / "evaluation" / f"{config.name}{SUFFIX}"
    save_policy_result(result, path)
    console.print(make_table([result], f"{config.name} on held-out scenes"))
    console.print(f"checkpoint {checkpoint.path}\nanswers: {path}", soft_wrap=True)


def open_baseline(config: BaselineConfig, *, resume: bool) -> None:
    """Make the run's folder, with its configuration in it.

    Raises:
        ConfigError: it cannot be written, or holds a run that this does not continue.
    """
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


def evaluate_baseline(
    config: BaselineConfig, policy: NetworkPolicy, photos: Sequence[Photo]
) -> PolicyResult:
    """Every configured task on test scenes, greedy and sampled; the photographs, greedy."""
    subject = Subject("baseline", config.name, config.name)
    asked = asked_of(config)
    decodings: tuple[Decoding, ...] = ("greedy", "sampled")
    results = []
    with closing(World()) as world:
        for task in config.evaluation.tasks:
            for decoding in decodings:
                cell = make_cell(subject, Condition(task, decoding=decoding), asked)
                answers = evaluate_cell(cell, policy, world, photos).answers
                results.append(CellResult(Condition(task, decoding=decoding), answers))
        if photos:
            cell = make_cell(subject, Condition("stability", "real"), asked)
            answers = evaluate_cell(cell, policy, world, photos).answers
            results.append(CellResult(Condition("stability", "real"), answers))
    return PolicyResult(config.name, tuple(results))


def asked_of(config: BaselineConfig) -> CellSettings:
    """What a baseline's own evaluation asks: the scenes of its configuration."""
    return CellSettings(
        scenes=config.evaluation.scenes,
        seed=config.seed,
        environment=config.environment,
        reward=config.reward,
        reasoning=False,
        temperature=1.0,
        max_completion_tokens=1,
    )


if __name__ == "__main__":
    from jobs.cli import main

    main(["baseline", *sys.argv[1:]])
