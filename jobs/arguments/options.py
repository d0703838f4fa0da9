"""Options that several commands share."""

from pathlib import Path
from typing import Annotated, Any

import typer

from physrl.config.algorithm import ALGORITHMS
from physrl.config.location import parse_folder
from physrl.config.reward import REWARDS
from physrl.config.task import TASKS
from physrl.errors import PluginError
from physrl.registry import Registry


def registered(registry: Registry[Any]) -> str:
    """List the registered names; an error is shown in their place and raised by the verb itself."""
    try:
        return ", ".join(registry)
    except PluginError as error:
        return str(error)


ConfigFile = Annotated[
    Path, typer.Option("--config", help="YAML file; docs/config.md lists the keys.")
]
OptionalConfigFile = Annotated[
    Path | None, typer.Option("--config", help="YAML file; docs/config.md lists the keys.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[KEY.PATH=VALUE]...",
        help=f"Values that override the file's, such as task=NAME ({registered(TASKS)}), "
        f"algorithm.type=NAME ({registered(ALGORITHMS)}) or reward.type=NAME "
        f"({registered(REWARDS)}).",
    ),
]
Resume = Annotated[bool, typer.Option("--resume", help="Continue from the last checkpoint.")]


def local_path(text: str) -> Path:
    """Parse an option that names a folder or file on this machine.

    Raises:
        BadParameter: it is a place in a bucket, or none.
    """
    try:
        parse_folder(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    return Path(text.strip()).expanduser()


def local_folder(text: str) -> Path:
    """Parse an option that names a folder on this machine, which need not exist.

    Raises:
        BadParameter: as `local_path`, or it is a file.
    """
    path = local_path(text)
    if path.exists() and not path.is_dir():
        raise typer.BadParameter(f"is '{text}', a file: name a folder")
    return path
