"""The command line of `physrl humans`: an experiment for people, and their data."""

from pathlib import Path
from typing import Annotated

import typer

from jobs.arguments.options import local_folder, local_path
from physrl.config.load import read_tree, validated
from physrl.config.people import ExclusionConfig, ExperimentConfig
from physrl.errors import UserError

app = typer.Typer(
    help="Show a study's scenes to people, and read their answers.",
    rich_markup_mode=None,
    no_args_is_help=True,
    add_completion=False,
)
Location = Annotated[str, typer.Argument(help="Store of a study: a folder or s3://...")]
Study = Annotated[str | None, typer.Option(help="Name of the study, if the store has several.")]
ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="YAML file; docs/config.md lists the keys.")
]


@app.command(
    "export",
    epilog="Example: physrl humans export runs/smoke/store --out experiment scenes=16 lists=4",
)
def export(
    location: Location,
    out: Annotated[
        Path,
        typer.Option(parser=local_folder, metavar="DIRECTORY", help="Folder to write, empty yet."),
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Keys of people, such as title or scenes."),
    ] = None,
    config: ConfigFile = None,
    study: Study = None,
) -> None:
    """Write a study's scenes as an experiment: static pages for any web server."""
    checked = validated(ExperimentConfig, read_tree(config, overrides or ()))
    from jobs import humans as job

    job.export(location, study, checked, out)


@app.command(
    "import",
    epilog="Example: physrl humans import runs/smoke/store data/ catch_share=0.75",
)
def read(
    location: Location,
    data: Annotated[
        Path,
        typer.Argument(
            parser=local_path,
            metavar="DATA",
            help="File or folder of the experiment's data, or a table of judgements of photographs "
            "(file, judge, falls).",
        ),
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Rules of exclusion, such as catch_share."),
    ] = None,
    config: ConfigFile = None,
    study: Study = None,
    name: Annotated[
        str, typer.Option(help="Name of the group in tables; an import replaces one of its name.")
    ] = "people",
) -> None:
    """Read people's answers, exclude persons by rule, and add them to the study's results."""
    checked = validated(ExclusionConfig, read_tree(config, overrides or ()))
    if not name.replace("_", "").replace("-", "").isalnum() or not name.isascii():
        raise UserError(f"--name is '{name}': use letters, digits, _ and -")
    from jobs import humans as job

    job.read(location, study, data, name, checked)
