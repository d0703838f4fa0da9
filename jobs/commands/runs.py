"""Commands that train: each checks its configuration and opens the folder of its run."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer

from jobs.arguments.match import Match, matched
from jobs.arguments.options import ConfigFile, OptionalConfigFile, Overrides, Resume, local_path
from jobs.checks import run as run_checks
from physrl.config import RunConfig, load_config
from physrl.config.baseline import load_baseline_config
from physrl.config.verbs import check_demo, check_sft, check_training
from physrl.errors import UserError
from physrl.storage.run_folder import abandon, extend_run, holds_run, open_run

DEMO = Path(__file__).parents[1] / "configs" / "demo.yaml"
WARNINGS = "warnings.log"
"""File of a run's folder for the warnings of libraries."""

app = typer.Typer()


@app.command(epilog="Example: physrl demo --resume")
def demo(overrides: Overrides = None, config: ConfigFile = DEMO, resume: Resume = False) -> None:
    """Train, evaluate and report on this machine, from the tiny base model."""
    checked = load_config(config, overrides or ())
    check_demo(checked)
    with _opened(checked, resume):
        from jobs import demo as job

        job.run(checked)


@app.command(epilog="Example: physrl train --config jobs/configs/demo.yaml algorithm.lr=1e-3")
def train(
    config: ConfigFile,
    overrides: Overrides = None,
    resume: Resume = False,
    match: Annotated[
        Path | None,
        typer.Option(
            parser=local_path,
            metavar="PATH",
            help="Folder of a finished RL run whose scenes and updates SFT repeats.",
        ),
    ] = None,
    match_by: Annotated[
        Match, typer.Option(help="Match the scenes, or the samples (group_size times as many).")
    ] = Match.SCENES,
) -> None:
    """Train one policy."""
    checked = load_config(config, overrides or ())
    if match is not None:
        checked = matched(checked, match, match_by)
    with _opened(checked, resume):
        from jobs import train as job

        job.run(checked)


@app.command(epilog="Example: physrl extend runs/mine steps=60")
def extend(
    folder: Annotated[
        Path, typer.Argument(metavar="RUN", exists=True, file_okay=False, help="Folder of a run.")
    ],
    steps: Annotated[str, typer.Argument(metavar="steps=N", help="Steps in all.")],
) -> None:
    """Train a run for more steps than it was planned for.

    The learning rate continues as in a run of that many steps: with a decay it rises again.
    """
    key, _, number = steps.partition("=")
    if key not in ("steps", "algorithm.steps") or not number.isdigit():
        raise UserError(f"'{steps}' is not of the form steps=N: write, for example, steps=60")
    checked = extend_run(folder, int(number))
    with _opened(checked, resume=True):
        from jobs import train as job

        job.run(checked)


@app.command(epilog="Example: physrl sft --config jobs/configs/sft.yaml runtime.learner_ranks=2")
def sft(config: ConfigFile, overrides: Overrides = None, resume: Resume = False) -> None:
    """Train on ideal answers with Ray Train, without inference servers."""
    checked = load_config(config, overrides or ())
    check_sft(checked)
    with _opened(checked, resume):
        from jobs import sft as job

        job.run(checked)


@app.command(epilog="Example: physrl baseline --config jobs/configs/baseline.yaml task=place_x")
def baseline(
    overrides: Overrides = None, config: OptionalConfigFile = None, resume: Resume = False
) -> None:
    """Train a small network without language by PPO, for comparison."""
    checked = load_baseline_config(config, overrides or ())
    check_training(checked.environment)
    from jobs import baseline as job

    job.run(checked, resume=resume)


@contextmanager
def _opened(config: RunConfig, resume: bool) -> Iterator[None]:
    """Check a training run's configuration, and open its folder for the block.

    A run that ends before its first step leaves its name free.
    """
    check_training(config.environment)
    run_checks.check(config)
    if resume and not holds_run(config):
        typer.echo(f"nothing to resume in {config.stored or config.folder}: a new run begins")
    folder = open_run(config, resume=resume)
    log = logging.FileHandler(folder / WARNINGS, delay=True)
    logging.getLogger("py.warnings").addHandler(log)
    try:
        yield
    finally:
        logging.getLogger("py.warnings").removeHandler(log)
        with suppress(UserError):  # what ended the run matters more
            if abandon(config):
                typer.echo(f"no step was trained: the name {config.name} is free again", err=True)
