"""Write scenes, images, questions and answers as a dataset of Parquet shards.

python -m jobs.collect task=place split=train scenes=2000 out=runs/data/place
"""

import sys

from jobs.display.console import console
from jobs.display.progress import Bar
from physrl.config.dataset import CollectConfig
from physrl.data.dataset_writer import DatasetWriter
from physrl.data.manifest import Manifest, Shard


def run(config: CollectConfig) -> None:
    """Collect the missing shards, write the manifest, and print a summary."""
    writer = DatasetWriter(config.plan, config.out)
    manifest = writer.finished()
    if manifest is None:
        manifest = _collect(config, writer)
    else:
        console.print(f"{writer.location} is already complete", soft_wrap=True)
    counts = manifest.counts
    console.print(
        f"{counts.scenes} scenes of {config.task} ({config.split}) in {counts.shards} shards, "
        f"{counts.bytes / 1e6:.1f} MB: {writer.location}",
        soft_wrap=True,
    )


def _collect(config: CollectConfig, writer: DatasetWriter) -> Manifest:
    existing = writer.existing()
    if existing:
        console.print(f"resuming: {len(existing)} of {config.shards} shards exist")
    # Ray starts only after the destination has been checked.
    from cluster.rollout.collect import collect_shards
    from cluster.runtime.session import ray_session
    from physrl.config.runtime import RuntimeConfig

    shards: dict[int, Shard] = {}
    with ray_session(RuntimeConfig()), Bar(console, "shards", config.shards) as progress:
        for number, shard in collect_shards(config, existing):
            shards[number] = shard
            progress.done(len(shards))
    return writer.commit([shards[number] for number in range(config.shards)])


if __name__ == "__main__":
    from jobs.cli import main

    main(["collect", *sys.argv[1:]])
