"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

ConfigFile = Annotated[
    Path, typer.Option("--config", help="YAML file; docs/config.md lists the keys.")
]
OptionalConfigFile = Annotated[
    Path | None, typer.Option("--config", help="YAML file; docs/config.md lists the keys.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY.PATH=VALUE]...", help="Values that override the file's."),
]
Resume = Annotated[bool, typer.Option("--resume", help="Continue from the last checkpoint.")]
