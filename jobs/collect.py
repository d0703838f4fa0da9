"""Write scenes, pictures, questions and answers as a dataset of Parquet shards.

python -m jobs.collect task=place split=train scenes=2000 out=runs/data/place
"""

import sys

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from jobs.console import console
from physrl.config.dataset import CollectConfig
from physrl.data.dataset_writer import DatasetWriter
from physrl.data.manifest import Manifest, Shard

LINES = 20
"""Lines that a whole collection prints where there is no terminal."""


def run(config: CollectConfig) -> None:
    """Make the shards that are not there yet, then the manifest; say what there is."""
    writer = DatasetWriter(config.plan, config.out)
    manifest = writer.finished()
    if manifest is None:
        manifest = _collect(config, writer)
    else:
        console.print(f"{writer.location} is complete: nothing to do", soft_wrap=True)
    counts = manifest.counts
    console.print(
        f"{counts.scenes} scenes of {config.task} ({config.split}) in {counts.shards} shards, "
        f"{counts.bytes / 1e6:.1f} MB: {writer.location}",
        soft_wrap=True,
    )


def _collect(config: CollectConfig, writer: DatasetWriter) -> Manifest:
    existing = writer.existing()
    if existing:
        console.print(f"continuing: {len(existing)} of {config.shards} shards are there")
    # Ray starts only once the place is known to be good.
    from cluster.collect import collect_shards
    from cluster.session import ray_session
    from physrl.config.run import RuntimeConfig

    shards: dict[int, Shard] = {}
    every = max(1, config.shards // LINES)
    with ray_session(RuntimeConfig()), _progress() as progress:
        bar = progress.add_task("shards", total=config.shards)
        for number, shard in collect_shards(config, existing):
            shards[number] = shard
            progress.update(bar, completed=len(shards))
            if not console.is_terminal and len(shards) % every == 0:
                console.print(f"shard {len(shards)}/{config.shards}")
    return writer.commit([shards[number] for number in range(config.shards)])


def _progress() -> Progress:
    return Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


if __name__ == "__main__":
    from jobs.cli import main

    main(["collect", *sys.argv[1:]])
