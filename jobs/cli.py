"""The command line. A verb reads its configuration, checks it, and only then imports what is heavy.

physrl demo                                             everything at laptop size
physrl train --config FILE algorithm.lr=1e-5 seed=1     overrides are key.path=value
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.exceptions import TyperException

from jobs.arguments.match import Match, matched
from jobs.arguments.policy import policy_model
from jobs.checks import run as preflight
from physrl.config import load_config
from physrl.config.algorithm import ALGORITHMS
from physrl.config.baseline import load_baseline_config
from physrl.config.load import load_collect_config
from physrl.config.reward import REWARDS
from physrl.config.study import load_study_config
from physrl.config.task import TASKS
from physrl.errors import PhysRLError, PluginError, UserError
from physrl.registry import Registry
from physrl.storage.run_folder import open_run

DEMO = Path(__file__).parent / "configs" / "demo.yaml"
FAILURE = 1
USER_ERROR = 2
INTERRUPTED = 130
LARGEST = 2**31 - 1
"""Seed, and index of a scene."""

app = typer.Typer(
    help="Reinforcement learning from physical interaction for vision-language models.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _names(registry: Registry[Any]) -> str:
    """List the registered names; an error is shown in their place and raised by the verb itself."""
    try:
        return ", ".join(registry)
    except PluginError as error:
        return str(error)


ConfigFile = Annotated[Path, typer.Option("--config", help="YAML file; docs/config.md lists keys.")]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[KEY.PATH=VALUE]...",
        help=f"Values that win over the file's, such as task=NAME ({_names(TASKS)}), "
        f"algorithm.type=NAME ({_names(ALGORITHMS)}) or reward.type=NAME ({_names(REWARDS)}).",
    ),
]
Resume = Annotated[bool, typer.Option("--resume", help="Continue from the last checkpoint.")]


@app.command(epilog="Example: physrl demo --resume")
def demo(overrides: Overrides = None, config: ConfigFile = DEMO, resume: Resume = False) -> None:
    """Train, evaluate and report on this machine, from the tiny base."""
    checked = load_config(config, overrides or ())
    preflight.check_demo(checked)
    preflight.check_training(checked.environment)
    preflight.check(checked)
    open_run(checked, resume=resume)
    from jobs import demo as job

    job.run(checked)


@app.command(epilog="Example: physrl train --config jobs/configs/demo.yaml algorithm.lr=1e-3")
def train(
    config: ConfigFile,
    overrides: Overrides = None,
    resume: Resume = False,
    match: Annotated[
        Path | None,
        typer.Option(help="Folder of a finished RL run whose scenes and updates SFT gets."),
    ] = None,
    match_by: Annotated[
        Match, typer.Option(help="The same scenes, or as many samples (group_size times scenes).")
    ] = Match.SCENES,
) -> None:
    """Train one policy."""
    checked = load_config(config, overrides or ())
    if match is not None:
        checked = matched(checked, match, match_by)
    preflight.check_training(checked.environment)
    preflight.check(checked)
    open_run(checked, resume=resume)
    from jobs import train as job

    job.run(checked)


@app.command(epilog="Example: physrl sft --config jobs/configs/sft.yaml runtime.learner_ranks=2")
def sft(config: ConfigFile, overrides: Overrides = None, resume: Resume = False) -> None:
    """Train on ideal answers alone: learner ranks under Ray Train, no servers."""
    checked = load_config(config, overrides or ())
    preflight.check_sft(checked)
    preflight.check_training(checked.environment)
    preflight.check(checked)
    open_run(checked, resume=resume)
    from jobs import sft as job

    job.run(checked)


@app.command(epilog="Example: physrl evaluate --config FILE --policy Qwen/Qwen2.5-VL-3B-Instruct")
def evaluate(
    config: ConfigFile,
    policy: Annotated[
        str, typer.Option(help="Checkpoint, step or adapter folder, or a name on the hub.")
    ],
    overrides: Overrides = None,
) -> None:
    """Measure a policy on held-out scenes and photographs."""
    checked = load_config(config, overrides or ())
    served = policy_model(policy, checked.model)
    preflight.check_model("--policy", served.path, served)
    checked = checked.model_copy(update={"model": served})
    preflight.check(checked)
    from jobs import evaluate as job

    job.run(checked, policy)


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
    epilog="Example: physrl doctor -- what a run needs, and whether it fits: physrl doctor "
    "--config jobs/configs/demo.yaml runtime.learner_ranks=2"
)
def doctor(
    overrides: Overrides = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="YAML file of a run that is to be sized.")
    ] = None,
) -> None:
    """Say what was found on this machine and what is missing; of a run, whether it fits."""
    if config is None and not overrides:
        from jobs import doctor as job

        fine = job.run()
    else:
        checked = load_config(config, overrides or ())
        preflight.check_sizing(checked)
        from jobs.sizing import fit

        fine = fit.run(checked)
    if not fine:
        raise typer.Exit(1)


@app.command(epilog="Example: physrl preview place --out sheet.png environment.num_blocks=[4,4]")
def preview(
    task: Annotated[str, typer.Argument(help=f"Name of a task: {_names(TASKS)}.")],
    overrides: Overrides = None,
    out: Annotated[
        Path | None, typer.Option(help="File to write: .png, or .gif or .mp4 for a video.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, max=200, help="How many scenes.")] = 12,
    seed: Annotated[
        int | None, typer.Option(min=0, max=LARGEST, help="Instead of the configuration's.")
    ] = None,
    level: Annotated[
        str | None, typer.Option(help="How much looks vary: none, photo or wild.")
    ] = None,
    generator: Annotated[
        str, typer.Option(help="Which named set the scenes are of, such as tall.")
    ] = "iid",
    landscape: Annotated[
        bool, typer.Option("--landscape", help="What each answer to one scene would earn.")
    ] = False,
    video: Annotated[
        bool, typer.Option("--video", help="Film what happens in one scene after an answer.")
    ] = False,
    index: Annotated[int, typer.Option(min=0, max=LARGEST, help="Which scene, for one.")] = 0,
    answer: Annotated[
        str | None, typer.Option(help="What the video shows instead of the ideal: '150 200'.")
    ] = None,
) -> None:
    """Draw scenes with their ideal answers and what happens after."""
    if landscape and video:
        raise UserError("--landscape and --video are two previews: ask for one of them")
    if answer is not None and not video:
        raise UserError(f"--answer is '{answer}': only a video shows an answer; add --video")
    checked = load_config(None, [*_look(level), *(overrides or ())])
    from jobs import preview as job

    first = checked.seed if seed is None else seed
    if landscape:
        out = out or Path("landscape.png")
        job.run_landscape(task, checked, seed=first, index=index, out=out, generator=generator)
    elif video:
        out = out or Path("video.gif")
        job.run_video(
            task, checked, seed=first, index=index, answer=answer, out=out, generator=generator
        )
    else:
        out = out or Path("sheet.png")
        job.run(task, checked, seed=first, count=count, out=out, generator=generator)


def _look(level: str | None) -> list[str]:
    """A level of randomization as overrides, drawn by what can show it."""
    if level is None:
        return []
    renderer = "tiny" if level == "none" else "photo"
    return [f"environment.randomization={level}", f"environment.renderer={renderer}"]


@app.command(
    epilog="Example: physrl collect task=place split=train scenes=2000 out=runs/data/place"
    " -- to a bucket: physrl collect task=stability seed=1 out=s3://bucket/stability workers=8"
)
def collect(
    overrides: Overrides = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="YAML file; docs/config.md lists keys.")
    ] = None,
) -> None:
    """Write scenes, pictures, questions and answers as a dataset; the same command continues."""
    checked = load_collect_config(config, overrides or ())
    preflight.check_collection(checked)
    from jobs import collect as job

    job.run(checked)


@app.command(epilog="Example: physrl pull s3://bucket/runs/demo --step best --out models/demo")
def pull(
    location: Annotated[
        str,
        typer.Argument(
            metavar="RUN", help="A run in storage: s3://bucket/prefix/run, or its folder."
        ),
    ],
    step: Annotated[
        str, typer.Option(metavar="N|latest|best", help="Which checkpoint.")
    ] = "latest",
    out: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="Folder to put it into; by default the run's name."),
    ] = None,
    listing: Annotated[
        bool, typer.Option("--list", help="Say which checkpoints there are, and download none.")
    ] = False,
) -> None:
    """Download a checkpoint from storage, verified; the same command continues."""
    from jobs import pull as job

    if listing:
        job.show(location)
    else:
        job.run(location, step, out)


@app.command(
    epilog="Example: physrl sweep --config jobs/configs/sweep-smoke.yaml --dry-run"
    " -- continue, or add to a study: the same command again, or with grid.seeds=[0,1,2]"
)
def sweep(
    config: Annotated[
        Path, typer.Option("--config", help="Study's YAML file; docs/config.md lists keys.")
    ],
    overrides: Overrides = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan and what it costs, and stop.")
    ] = False,
    max_cells: Annotated[
        int | None, typer.Option(min=1, help="Refuse a larger study; instead of the file's.")
    ] = None,
    at_once: Annotated[
        int | None,
        typer.Option(
            "--trials-at-once", min=1, help="Trials at once on this machine alone; a core each."
        ),
    ] = None,
) -> None:
    """Train a grid of models, and measure each on every task and test set."""
    given = [*(overrides or ()), *([] if max_cells is None else [f"max_cells={max_cells}"])]
    checked = load_study_config(config, given)
    from jobs.checks import study as study_preflight
    from physrl.evaluation.cells import open_cell_store
    from physrl.evaluation.plan import plan_study

    plan = plan_study(checked)
    if dry_run:
        from jobs.sizing import costs

        costs.show(plan)
        return
    store = open_cell_store(checked.store)
    study_preflight.check(checked, plan, store)
    from jobs import sweep as job

    if not job.run(checked, plan, store, at_once):
        raise typer.Exit(INTERRUPTED)


@app.command(epilog="Example: physrl status s3://bucket/study")
def status(
    location: Annotated[str, typer.Argument(help="A study's store: a folder or s3://...")],
) -> None:
    """Print what is done, running and failed of the studies in a store."""
    from jobs import status as job

    job.run(location)


@app.command(epilog="Example: physrl baseline --config jobs/configs/baseline.yaml task=place_x")
def baseline(
    overrides: Overrides = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="YAML file; docs/config.md lists keys.")
    ] = None,
    resume: Resume = False,
) -> None:
    """Train a policy without language: PPO with a small network, for comparison."""
    checked = load_baseline_config(config, overrides or ())
    preflight.check_training(checked.environment)
    from jobs import baseline as job

    job.run(checked, resume=resume)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a verb; what goes wrong is one line on stderr, and exit code 2 for a user's mistake.

    Args:
        arguments: instead of the command line's.
    """
    # DeepSpeed looks for ninja on the path, where a virtual environment need not be, and for the
    # operator that `make install` compiled for this environment.
    os.environ["PATH"] = os.pathsep.join((f"{sys.prefix}/bin", os.environ.get("PATH", "")))
    os.environ.setdefault("TORCH_EXTENSIONS_DIR", f"{sys.prefix}/torch-extensions")
    try:
        code = app(arguments, prog_name="physrl", standalone_mode=False)
    except TyperException as error:
        _fail(error.format_message(), USER_ERROR)
    except PhysRLError as error:
        # What an actor raised arrives with a remote traceback for a text, and its cause within.
        message = str(getattr(error, "cause", error))
        _fail(message, USER_ERROR if isinstance(error, UserError) else FAILURE)
    if code == INTERRUPTED:
        typer.echo("interrupted", err=True)
    sys.exit(code)


def _fail(message: str, code: int) -> NoReturn:
    typer.echo(f"error: {' '.join(message.split())}", err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
