"""Collection of a dataset: a Ray task for each shard.

plan, shard number -> prepare -> scenes, prompts -> DatasetWriter.write -> the store
                                                                   |
driver: at most `workers` tasks at once  <-  Shard (name, size, hash)  -> manifest, written last
"""

from collections.abc import Callable, Iterator
from contextlib import closing

import ray
from ray.exceptions import RayError

from cluster.runtime.session import actor_environment
from cluster.runtime.tasks import run_tasks
from physrl.config.dataset import CollectConfig, DatasetPlan
from physrl.data.dataset_writer import DatasetWriter
from physrl.data.manifest import Shard
from physrl.environments.generators import GENERATORS
from physrl.environments.renderer import make_renderer
from physrl.errors import CollectionError, PhysRLError, StorageError
from physrl.scene_source import SceneSource, prepare

ATTEMPTS = 4
"""Number of attempts at a shard whose process dies or whose storage fails."""

MakeShard = Callable[[CollectConfig, int, str | None], Shard]


def collect_shard(config: CollectConfig, number: int, existing: str | None) -> Shard:
    """Collect one shard, unless a complete one exists.

    Args:
        existing: key of the shard in the store that an earlier collection wrote, if any.
    """
    writer = DatasetWriter(config.plan, config.out)
    kept = None if existing is None else writer.keep(number, existing)
    if kept is not None:
        return kept
    source = plan_source(config)
    with closing(make_renderer(source.environment)) as renderer:
        scenes, prompts = prepare(source, config.indices(number), renderer)
    shard = writer.write(number, scenes, prompts)
    if existing is not None and existing != shard.file:
        writer.discard(existing)
    return shard


def plan_source(plan: DatasetPlan) -> SceneSource:
    """Make the source of a plan's scenes."""
    settings = GENERATORS[plan.generator](plan.environment)
    return SceneSource(plan.task, settings, plan.seed, plan.split, plan.reasoning, plan.generator)


def collect_shards(
    config: CollectConfig, existing: dict[int, str], make: MakeShard = collect_shard
) -> Iterator[tuple[int, Shard]]:
    """Collect all shards, and yield each with its number when it is complete.

    Raises:
        PhysRLError: a shard failed in every attempt; the message names its number and scenes.
    """
    task = ray.remote(make).options(
        num_cpus=1,
        max_retries=ATTEMPTS - 1,
        retry_exceptions=[StorageError],
        runtime_env={"env_vars": actor_environment(threads=1)},
    )
    calls = [(config, number, existing.get(number)) for number in range(config.shards)]
    for number, done in run_tasks(task, calls, config.workers):
        if done is None:
            continue
        try:
            yield number, ray.get(done)
        except RayError as error:
            raise _shard_error(config, number, error) from error


def _shard_error(config: CollectConfig, number: int, error: RayError) -> PhysRLError:
    indices = config.indices(number)
    shard = f"shard {number + 1} of {config.shards} (scenes {indices[0]} to {indices[-1]})"
    cause = getattr(error, "cause", None)
    if isinstance(cause, PhysRLError):
        return type(cause)(f"{shard}: {cause}")
    reason = str(error).strip().splitlines()[-1]
    return CollectionError(f"{shard} failed {ATTEMPTS} times: {type(error).__name__}: {reason}")
