"""The command line of `physrl preview`."""

from pathlib import Path
from typing import Annotated

import typer

from jobs.arguments.options import Overrides, local_path, registered
from physrl.config import load_config
from physrl.config.task import TASKS
from physrl.errors import UserError

LARGEST = 2**31 - 1
"""Largest seed, and largest index of a scene."""


def preview(
    task: Annotated[str, typer.Argument(help=f"Name of a task: {registered(TASKS)}.")],
    overrides: Overrides = None,
    out: Annotated[
        Path | None,
        typer.Option(
            parser=local_path,
            metavar="PATH",
            help="Output file: .png, or .gif or .mp4 for a video.",
        ),
    ] = None,
    count: Annotated[int, typer.Option(min=1, max=200, help="Number of scenes.")] = 12,
    seed: Annotated[
        int | None, typer.Option(min=0, max=LARGEST, help="Seed instead of the configuration's.")
    ] = None,
    level: Annotated[
        str | None, typer.Option(help="Level of domain randomization: none, photo or wild.")
    ] = None,
    generator: Annotated[str, typer.Option(help="Scene generator, such as iid or tall.")] = "iid",
    landscape: Annotated[
        bool, typer.Option("--landscape", help="Plot the reward of each answer to one scene.")
    ] = False,
    video: Annotated[
        bool, typer.Option("--video", help="Film what happens in one scene after an answer.")
    ] = False,
    index: Annotated[
        int, typer.Option(min=0, max=LARGEST, help="Scene of a landscape or video.")
    ] = 0,
    answer: Annotated[
        str | None,
        typer.Option(help="Answer that the video shows instead of the ideal one: '150 200'."),
    ] = None,
) -> None:
    """Draw scenes with their ideal answers and outcomes."""
    if landscape and video:
        raise UserError("--landscape and --video are both given: choose one of them")
    if answer is not None and not video:
        raise UserError(f"--answer is '{answer}': only a video shows an answer; add --video")
    config = load_config(None, [*_randomization(level), *(overrides or ())])
    from jobs import preview as job

    seed = config.seed if seed is None else seed
    if landscape:
        out = out or Path("landscape.png")
        job.run_landscape(task, config, seed=seed, index=index, out=out, generator=generator)
    elif video:
        out = out or Path("video.gif")
        job.run_video(
            task, config, seed=seed, index=index, answer=answer, out=out, generator=generator
        )
    else:
        out = out or Path("sheet.png")
        job.run(task, config, seed=seed, count=count, out=out, generator=generator)


def _randomization(level: str | None) -> list[str]:
    """List the overrides of a level of domain randomization, with a renderer that can show it."""
    if level is None:
        return []
    renderer = "tiny" if level == "none" else "photo"
    return [f"environment.randomization={level}", f"environment.renderer={renderer}"]
