"""The command line. A verb reads its configuration, checks it, and only then imports what is heavy.

physrl demo                                             everything at laptop size
physrl train --config FILE algorithm.lr=1e-5 seed=1     overrides are key.path=value
"""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from typer.exceptions import TyperException

from jobs import preflight
from physrl.config import RunConfig, load_config
from physrl.errors import UserError

DEMO = Path(__file__).parent / "configs" / "demo.yaml"
USER_ERROR = 2
INTERRUPTED = 130

app = typer.Typer(
    help="Reinforcement learning from physical interaction for vision-language models.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)

ConfigFile = Annotated[Path, typer.Option("--config", help="YAML file; docs/config.md lists keys.")]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY.PATH=VALUE]...", help="Values that win over the file's."),
]
Resume = Annotated[bool, typer.Option("--resume", help="Continue from the last checkpoint.")]


@app.command(epilog="Example: physrl demo --resume")
def demo(overrides: Overrides = None, config: ConfigFile = DEMO, resume: Resume = False) -> None:
    """Train, evaluate and report on this machine, from the tiny base."""
    checked = _checked_config(config, overrides)
    from jobs import demo as job

    job.run(checked, resume=resume)


@app.command(epilog="Example: physrl train --config jobs/configs/demo.yaml algorithm.lr=1e-3")
def train(config: ConfigFile, overrides: Overrides = None, resume: Resume = False) -> None:
    """Train one policy."""
    checked = _checked_config(config, overrides)
    from jobs import train as job

    job.run(checked, resume=resume)


@app.command(epilog="Example: physrl evaluate --config FILE --policy Qwen/Qwen2.5-VL-3B-Instruct")
def evaluate(
    config: ConfigFile,
    policy: Annotated[str, typer.Option(help="Checkpoint folder, or a name on the hub.")],
    overrides: Overrides = None,
) -> None:
    """Measure a policy on held-out scenes and photographs."""
    checked = _checked_config(config, overrides)
    preflight.check_model("--policy", policy)
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


@app.command(epilog="Example: physrl doctor")
def doctor() -> None:
    """Say what was found on this machine, and what is missing."""
    from jobs import doctor as job

    if not job.run():
        raise typer.Exit(1)


@app.command(epilog="Example: physrl preview place --out sheet.png environment.num_blocks=[4,4]")
def preview(
    task: Annotated[str, typer.Argument(help="Name of a task, such as place.")],
    overrides: Overrides = None,
    out: Annotated[Path, typer.Option(help="Picture to write.")] = Path("sheet.png"),
    count: Annotated[int, typer.Option(min=1, max=200, help="How many scenes.")] = 12,
    seed: Annotated[int | None, typer.Option(min=0, help="Instead of the configuration's.")] = None,
) -> None:
    """Draw scenes with their ideal answers and what happens after."""
    checked = load_config(None, overrides or ())
    from jobs import preview as job

    job.run(task, checked, seed=checked.seed if seed is None else seed, count=count, out=out)


def main() -> None:
    """Run a verb; a user's mistake is one line on stderr and exit code 2."""
    # DeepSpeed looks for ninja on the path, where a virtual environment need not be, and for the
    # operator that `make install` compiled for this environment.
    os.environ["PATH"] = os.pathsep.join((f"{sys.prefix}/bin", os.environ.get("PATH", "")))
    os.environ.setdefault("TORCH_EXTENSIONS_DIR", f"{sys.prefix}/torch-extensions")
    try:
        code = app(standalone_mode=False)
    except (UserError, TyperException) as error:
        text = error.format_message() if isinstance(error, TyperException) else str(error)
        typer.echo(f"error: {' '.join(text.split())}", err=True)
        sys.exit(USER_ERROR)
    if code == INTERRUPTED:
        typer.echo("interrupted", err=True)
    sys.exit(code)


def _checked_config(file: Path, overrides: list[str] | None) -> RunConfig:
    config = load_config(file, overrides or ())
    preflight.check(config)
    return config


if __name__ == "__main__":
    main()
