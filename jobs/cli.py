"""The command line: each command reads and checks its configuration, then imports its job.

physrl demo                                             everything at laptop size
physrl train --config FILE algorithm.lr=1e-5 seed=1     overrides are key.path=value
"""

import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer
from typer.exceptions import TyperException

from jobs.arguments.humans import app as humans
from jobs.arguments.match import Match, matched
from jobs.arguments.options import (
    ConfigFile,
    OptionalConfigFile,
    Overrides,
    Resume,
    local_folder,
    local_path,
)
from jobs.arguments.policy import DType, merged_model, policy_model
from jobs.arguments.policy_place import SCHEME, of_run, short_name, split_bucket
from jobs.arguments.preview import preview
from jobs.arguments.run_config import config_file, find_config, load_beside
from jobs.checks import run as run_checks
from jobs.checks.checkpoint import check_model
from jobs.checks.storage import check_writable
from jobs.last_resort import FAILURE, USER_ERROR, fail, last_resort
from physrl.config import RunConfig, load_config
from physrl.config.baseline import load_baseline_config
from physrl.config.load import load_collect_config
from physrl.config.study import load_study_config
from physrl.config.verbs import check_demo, check_sft, check_training
from physrl.errors import UserError
from physrl.storage.run_folder import abandon, extend_run, holds_run, open_run

DEMO = Path(__file__).parent / "configs" / "demo.yaml"
INTERRUPTED = 130
WARNINGS = "warnings.log"
"""File of a run's folder for the warnings of libraries."""

app = typer.Typer(
    help="Reinforcement learning from physical interaction for vision-language models.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)


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


@app.command(
    epilog="Example: physrl evaluate --policy runs/demo/checkpoints/step-00000060 "
    "'evaluation.test_sets=[iid,camera,tall]' -- of another house: physrl evaluate --config FILE "
    "--policy Qwen/Qwen2.5-VL-3B-Instruct"
)
def evaluate(
    policy: Annotated[
        str,
        typer.Option(
            help="Run, step, model or adapter folder, a run or step in a bucket (s3://...), or a "
            "model name on the hub."
        ),
    ],
    overrides: Overrides = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", help="YAML file; by default config.yaml of the policy's run."),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Name of the policy in tables and files."),
    ] = None,
) -> None:
    """Measure a policy, and the base beside it, on named sets of held-out scenes."""
    given, folder = overrides or [], policy
    if policy.startswith(SCHEME):
        from jobs.pull import fetch

        run, step = split_bucket(policy)
        folder = str(fetch(run, None, step, None).path)
    else:
        policy = folder = of_run(policy)
    beside = config_file(Path(folder)) if config is None else None
    if beside is not None:
        checked = load_beside(Path(folder), beside, given)
    elif config is None and not any(each.startswith("name=") for each in given):
        checked = load_config(None, [f"name={short_name(policy)}", *given])
    else:
        checked = load_config(config, given)
    served = policy_model(folder, checked.model)
    check_model("--policy", served.path, served)
    evaluated = checked.model_copy(update={"model": served})
    run_checks.check(evaluated)
    from jobs import evaluate as job

    job.run(evaluated, checked.model.base, name or short_name(policy))


@app.command(epilog="Example: physrl report runs/demo")
def report(
    folders: Annotated[
        list[Path], typer.Argument(metavar="FOLDER...", exists=True, file_okay=False)
    ],
) -> None:
    """Write the HTML report of one or more run folders."""
    from jobs import report as job

    job.run(folders)


@app.command(
    epilog="Example: physrl doctor -- a run's needs, and whether they are met: physrl doctor "
    "--config jobs/configs/demo.yaml runtime.learner_ranks=2"
)
def doctor(overrides: Overrides = None, config: OptionalConfigFile = None) -> None:
    """List this machine's installed parts; with a configuration, check whether its run fits."""
    if config is None and not overrides:
        from jobs import doctor as job

        complete = job.run()
    else:
        checked = load_config(config, overrides or ())
        run_checks.check_sizing(checked)
        from jobs.sizing import report as sizing

        complete = sizing.run(checked)
    if not complete:
        raise typer.Exit(FAILURE)


app.command(epilog="Example: physrl preview place --out sheet.png environment.num_blocks=[4,4]")(
    preview
)


@app.command(
    epilog="Example: physrl collect task=place split=train scenes=2000 out=runs/data/place"
    " -- to a bucket: physrl collect task=stability seed=1 out=s3://bucket/stability workers=8"
)
def collect(overrides: Overrides = None, config: OptionalConfigFile = None) -> None:
    """Write scenes, images, questions and answers as a dataset; repeat the command to resume."""
    checked = load_collect_config(config, overrides or ())
    run_checks.check_collection(checked)
    from jobs import collect as job

    job.run(checked)


@app.command(
    epilog="Example: physrl pull s3://bucket/runs/demo --step best --out models/demo"
    " -- of a study: physrl pull s3://bucket/study --trial NAME"
)
def pull(
    location: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="Run in storage, or store of a study: s3://bucket/prefix/run, or its folder.",
        ),
    ],
    trial: Annotated[
        str | None, typer.Option(help="Name, or start of the key, of a study's trial.")
    ] = None,
    step: Annotated[
        str, typer.Option(metavar="N|latest|best", help="Checkpoint to download.")
    ] = "latest",
    out: Annotated[
        Path | None,
        typer.Option(
            parser=local_folder,
            metavar="DIRECTORY",
            help="Folder to download into; by default the run's name.",
        ),
    ] = None,
    listing: Annotated[
        bool, typer.Option("--list", help="List the checkpoints, or a study's trials, instead.")
    ] = False,
) -> None:
    """Download a checkpoint from storage and verify it; repeat the command to resume."""
    from jobs import pull as job

    if listing:
        job.show(location)
    else:
        job.run(location, trial, step, out)


@app.command("try", epilog="Example: physrl try demo/step-00000060 --image tower.png task=place_x")
def ask(
    folder: Annotated[
        Path,
        typer.Argument(metavar="FOLDER", help="Run or checkpoint, also a downloaded one."),
    ],
    image: Annotated[Path, typer.Option(help="Image of a tower, PNG or JPEG.")],
    overrides: Overrides = None,
) -> None:
    """Ask a downloaded policy the task's question about one image."""
    folder = Path(of_run(str(folder)))
    checked = find_config(folder, overrides or [])
    from jobs import ask as job

    job.run(folder, image, checked)


@app.command(epilog="Example: physrl merge runs/demo/checkpoints/step-00000060 --out models/demo")
def merge(
    checkpoint: Annotated[
        str, typer.Argument(metavar="CHECKPOINT", help="Run, step, adapter or model folder.")
    ],
    out: Annotated[
        Path,
        typer.Option(parser=local_folder, metavar="DIRECTORY", help="Folder to write, empty yet."),
    ],
    base: Annotated[
        str | None,
        typer.Option(help="Model of the adapter, instead of the one that it names."),
    ] = None,
    dtype: Annotated[DType, typer.Option(help="Type of the weights.")] = "bfloat16",
) -> None:
    """Write a checkpoint as plain weights, which transformers and vLLM load."""
    if out.exists() and any(out.iterdir()):
        raise UserError(f"--out is {out}, which is not empty: name another folder")
    checkpoint = of_run(checkpoint)
    model = merged_model(checkpoint, base, dtype)
    check_writable(out)
    from jobs import merge as job

    job.run(model, checkpoint, out)


@app.command(
    epilog="Example: physrl sweep --config jobs/configs/sweep-smoke.yaml --dry-run"
    " -- resume a study: the same command again; extend it: with grid.seeds=[0,1,2]"
)
def sweep(
    config: ConfigFile,
    overrides: Overrides = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan and its cost, and stop.")
    ] = False,
    max_cells: Annotated[
        int | None, typer.Option(min=1, help="Refuse a larger study; overrides the file's.")
    ] = None,
    at_once: Annotated[
        int | None,
        typer.Option(
            "--trials-at-once",
            min=1,
            help="Concurrent trials on this machine alone; a core for each.",
        ),
    ] = None,
) -> None:
    """Train a grid of models, and evaluate each on every task and test set."""
    given = [*(overrides or ()), *([] if max_cells is None else [f"max_cells={max_cells}"])]
    checked = load_study_config(config, given)
    from jobs.checks import study as study_checks
    from jobs.display.inheritance import show_untaken
    from physrl.evaluation.cells import open_cell_store
    from physrl.evaluation.plan import plan_study

    plan = plan_study(checked)
    show_untaken(checked)
    if dry_run:
        from jobs.sizing import costs

        costs.show(plan)
        return
    store = open_cell_store(checked.store)
    study_checks.check(checked, plan, store)
    from jobs import sweep as job

    if not job.run(checked, plan, store, at_once):
        raise typer.Exit(INTERRUPTED)


@app.command(epilog="Example: physrl status s3://bucket/study")
def status(
    location: Annotated[
        str, typer.Argument(help="Store of a study: a folder or s3://...; with --watch any place.")
    ],
    watch: Annotated[
        bool, typer.Option("--watch", help="Show all studies and runs there, until Ctrl+C.")
    ] = False,
) -> None:
    """Print the finished, running and failed results of the studies in a store."""
    if watch:
        from jobs.watch import terminal

        terminal.run(location)
    else:
        from jobs import status as job

        job.run(location)


@app.command(epilog="Example: physrl watch runs/demo s3://bucket/study")
def watch(
    places: Annotated[
        list[str],
        typer.Argument(
            metavar="PLACE...",
            help="Folders or s3://... prefixes with studies and runs.",
        ),
    ],
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port on this machine; 0 chooses a free one.")
    ] = 8600,
) -> None:
    """Serve a read-only page about studies and runs on this machine, until Ctrl+C."""
    from jobs.watch import serve as job

    job.run(places, port)


@app.command(epilog="Example: physrl tidy s3://bucket/study --out answers")
def tidy(
    location: Annotated[str, typer.Argument(help="Store of a study: a folder or s3://...")],
    out: Annotated[Path, typer.Option(file_okay=False, help="Folder to write into.")],
    study: Annotated[
        str | None, typer.Option(help="Name of the study, if the store has several.")
    ] = None,
) -> None:
    """Write all answers of a study as one Parquet and CSV table, with a codebook."""
    from jobs import tidy as job

    job.run(location, study, out)


app.add_typer(humans, name="humans")


@app.command(epilog="Example: physrl baseline --config jobs/configs/baseline.yaml task=place_x")
def baseline(
    overrides: Overrides = None, config: OptionalConfigFile = None, resume: Resume = False
) -> None:
    """Train a small network without language by PPO, for comparison."""
    checked = load_baseline_config(config, overrides or ())
    check_training(checked.environment)
    from jobs import baseline as job

    job.run(checked, resume=resume)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command; an error is one line on stderr (`last_resort`).

    Args:
        arguments: replace those of the process.
    """
    # DeepSpeed looks for ninja on the path, where a virtual environment need not be, and for the
    # operator that `make install` compiled for this environment.
    os.environ["PATH"] = os.pathsep.join((f"{sys.prefix}/bin", os.environ.get("PATH", "")))
    os.environ.setdefault("TORCH_EXTENSIONS_DIR", f"{sys.prefix}/torch-extensions")
    logging.captureWarnings(True)  # of libraries: a run writes them into its folder
    warned = logging.getLogger("py.warnings")
    warned.addHandler(logging.NullHandler())
    warned.propagate = False
    with last_resort():
        try:
            code = app(arguments, prog_name="physrl", standalone_mode=False)
        except TyperException as error:
            fail(error.format_message(), USER_ERROR)
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] in ("physrl", "cluster", "jobs"):
                raise
            fail(f"{error.name} is not installed: make install, which this needs", USER_ERROR)
    if code == INTERRUPTED:
        typer.echo("interrupted", err=True)
    sys.exit(code)


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


if __name__ == "__main__":
    main()
