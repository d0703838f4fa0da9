"""Train and evaluate a network without language, for comparison.

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
from jobs.train import show_results
from physrl.config.baseline import BaselineConfig, load_baseline_config
from physrl.config.runtime import RuntimeConfig
from physrl.data.photos import Photo, load_photos
from physrl.errors import ConfigError
from physrl.evaluation.local import evaluate_cell
from physrl.evaluation.measurements import Measurement, Measurements
from physrl.evaluation.run_cells import evaluation_cells
from physrl.evaluation.specs import CellSettings, Subject
from physrl.storage.contents import files_content
from physrl.storage.provenance import versions
from physrl.storage.run_files import CONFIG
from physrl.world import World


def run(config: BaselineConfig, *, resume: bool) -> None:
    """Train in the run's folder, or resume; evaluate, print the counts, write the answers.

    Raises:
        DataError: the photographs cannot be read.
        ConfigError: see `open_baseline`.
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
        key = files_content(checkpoint.path)
        measured = evaluate_baseline(config, policy, key, photos)
    show_results(measured, config.name)
    answers = Measurements(config.folder).folder
    console.print(f"checkpoint {checkpoint.path}\nanswers: {answers}", soft_wrap=True)


def open_baseline(config: BaselineConfig, *, resume: bool) -> None:
    """Create the run's folder and write the configuration into it.

    Raises:
        ConfigError: the folder cannot be written, or contains a run that this cannot resume.
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
                f"{config.folder} already contains a run: continue it with --resume, choose "
                "another name=, or delete the folder"
            )
        if load_baseline_config(path) != config:
            raise ConfigError(
                f"{config.folder} contains a run of another configuration ({CONFIG}): resume it "
                "with the same values, or choose another name="
            )
    except OSError as error:
        raise ConfigError(
            f"output folder {config.folder} cannot be written: {error.strerror or error}: set "
            "output= to another folder"
        ) from None


def evaluate_baseline(
    config: BaselineConfig, policy: NetworkPolicy, key: str, photos: Sequence[Photo]
) -> tuple[Measurement, ...]:
    """Measure every configured task, greedy and sampled, and the photographs, greedy.

    Args:
        key: digest of the policy's checkpoint.
    """
    subject, store, made = (
        Subject("baseline", key, config.name), Measurements(config.folder), versions()
    )  # fmt: skip
    measured = []
    with closing(World()) as world:
        for cell in evaluation_cells(
            subject, config.evaluation, evaluation_settings(config), photos
        ):
            found = store.find(cell)
            if found is None:
                found = Measurement(cell, evaluate_cell(cell, policy, world, photos), made)
                store.save(found)
            measured.append(found)
    return tuple(measured)


def evaluation_settings(config: BaselineConfig) -> CellSettings:
    """Make the settings of a baseline's own evaluation."""
    return CellSettings(
        scenes=config.evaluation.scenes,
        seed=config.seed,
        environment=config.environment,
        reward=config.reward,
        reasoning=False,
        temperature=1.0,
        min_p=0.0,
        max_completion_tokens=1,
    )


if __name__ == "__main__":
    from jobs.cli import main

    main(["baseline", *sys.argv[1:]])
