"""Makes a dataset: each shard is a Ray task, whatever the number of workers.

plan, shard's number -> prepare -> scenes, prompts -> DatasetWriter.write -> the store
                                                 |
the driver: at most `workers` tasks at once <- Shard (name, size, hash) -> manifest, last
"""

from collections.abc import Callable, Iterator

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
"""A shard whose process dies, or whose storage fails, is made so often before it is given up."""

MakeShard = Callable[[CollectConfig, int, str | None], Shard]


def collect_shard(config: CollectConfig, number: int, existing: str | None) -> Shard:
    """Make one shard, or keep the one that is there if it is whole.

    Args:
        existing: the key of a shard that an earlier run left.
    """
    writer = DatasetWriter(config.plan, config.out)
    kept = None if existing is None else writer.keep(number, existing)
    if kept is not None:
        return kept
    source = plan_source(config)
    renderer = make_renderer(source.environment)
    try:
        scenes, prompts = prepare(source, config.indices(number), renderer)
    finally:
        renderer.close()
    shard = writer.write(number, scenes, prompts)
    if existing is not None and existing != shard.file:
        writer.discard(existing)
    return shard


def plan_source(plan: DatasetPlan) -> SceneSource:
    """The scenes that a plan names."""
    settings = GENERATORS[plan.generator](plan.environment)
    return SceneSource(plan.task, settings, plan.seed, plan.split, plan.reasoning, plan.generator)


def collect_shards(
    config: CollectConfig, existing: dict[int, str], make: MakeShard = collect_shard
) -> Iterator[tuple[int, Shard]]:
    """All shards with their numbers, in the order in which they are done.

    Raises:
        PhysRLError: a shard that fails for good, by its number and scenes.
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
            raise _named(config, number, error) from error


def _named(config: CollectConfig, number: int, error: RayError) -> PhysRLError:
    indices = config.indices(number)
    what = f"shard {number + 1} of {config.shards} (scenes {indices[0]} to {indices[-1]})"
    cause = getattr(error, "cause", None)
    if isinstance(cause, PhysRLError):
        return type(cause)(f"{what}: {cause}")
    reason = str(error).strip().splitlines()[-1]
    return CollectionError(f"{what} failed {ATTEMPTS} times: {type(error).__name__}: {reason}")
