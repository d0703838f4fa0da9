"""Commands about studies: run one, watch it, read its results."""

from pathlib import Path
from typing import Annotated

import typer

from jobs.arguments.humans import app as humans
from jobs.arguments.options import ConfigFile, Overrides
from jobs.last_resort import INTERRUPTED
from physrl.config.study import load_study_config

app = typer.Typer()


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
