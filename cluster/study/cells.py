"""The cells of a study, each of which is computed once and stored as soon as it is complete.

missing cells -> controls, networks: Ray tasks, in one process each            -> the store
              -> language models: rollouts on servers, one base after the other -> the store
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import ray

from cluster.runtime.placement import SERVER_CPUS, WORKER_CPUS
from cluster.study.events import Finished, ResultTask, Started, compute_results
from cluster.study.policies import by_base, study_policies
from cluster.study.served_cells import cell_name, compute_served, start_served
from physrl.config.baseline import BaselineConfig
from physrl.config.runtime import RuntimeConfig
from physrl.data.photos import Photo, load_photos
from physrl.evaluation.cells import CellStore, open_cell_store
from physrl.evaluation.controls import evaluate_control
from physrl.evaluation.local import evaluate_cell
from physrl.evaluation.specs import CONTROLS, CellSpec, StudyPlan
from physrl.world import World


def compute_cells(
    plan: StudyPlan,
    store: CellStore,
    real_images: Path | None,
    at_once: int,
) -> Iterator[Started | Finished]:
    """Compute every cell that is missing in the store and whose subject is available.

    Needs a running Ray cluster.

    Args:
        at_once: largest number of cells computed at the same time, for each server.
    """
    done = store.done()
    missing = [cell for cell in plan.cells if cell.key not in done]
    if not missing:
        return
    policies = study_policies(plan, store)
    cluster = ray.cluster_resources()
    local = _local_tasks(plan, store, missing, real_images)
    workers = limit_workers(at_once, cluster.get("CPU", 0), servers=0)
    yield from compute_results(_compute_locally, local, workers)
    photos = () if real_images is None else load_photos(real_images)
    for group in by_base(plan, list(policies)):
        cells = [cell for cell in missing if cell.subject in group]
        if not cells:
            continue
        runs = [plan.config_of(subject) for subject in group]
        runtime = cells_runtime(runs[0].runtime, at_once, cluster)
        with closing(start_served(runs, photos, runtime)) as served:
            yield from compute_served(
                served, cells, policies, store, at_once * runtime.inference_servers
            )


def cells_runtime(
    runtime: RuntimeConfig, at_once: int, cluster: Mapping[str, float]
) -> RuntimeConfig:
    """Return the runtime of a study's cells: on GPUs, as many servers as the cluster holds.

    Args:
        cluster: the resources of the cluster, by Ray's names.
    """
    servers = runtime.inference_servers
    if runtime.gpus_per_server:
        servers = max(servers, int(cluster.get("GPU", 0) / runtime.gpus_per_server))
    workers = limit_workers(at_once * servers, cluster.get("CPU", 0), servers)
    return runtime.model_copy(update={"inference_servers": servers, "rollout_workers": workers})


def limit_workers(workers: int, cores: float, servers: int) -> int:
    """Limit the number of workers to the cores that the servers leave, but at least to 1."""
    return max(1, min(workers, int((cores - servers * SERVER_CPUS) / WORKER_CPUS)))


def _local_tasks(
    plan: StudyPlan, store: CellStore, cells: Sequence[CellSpec], real_images: Path | None
) -> list[ResultTask]:
    """List the cells that need no server: of controls, and of trained networks."""
    tasks = []
    for cell in cells:
        network: tuple[BaselineConfig, Path] | None = None
        if cell.subject.kind == "baseline":
            trained = store.read_trained(cell.subject.key)
            if trained is None:
                continue
            network = (plan.baselines[cell.subject.key], Path(trained.checkpoint))
        elif cell.subject.kind not in CONTROLS:
            continue
        arguments = (cell, store.location, real_images, network)
        tasks.append(ResultTask(cell.key, cell_name(cell), arguments))
    return tasks


def _compute_locally(
    cell: CellSpec,
    store: str,
    real_images: Path | None,
    network: tuple[BaselineConfig, Path] | None,
) -> None:
    """Compute and store a cell in a Ray task."""
    photos: tuple[Photo, ...] = () if real_images is None else load_photos(real_images)
    if network is None:
        result = evaluate_control(cell, photos)
    else:
        from cluster.baseline.network import NetworkPolicy  # imports torch and RLlib

        with closing(World()) as world:
            result = evaluate_cell(cell, NetworkPolicy(*network), world, photos)
    open_cell_store(store).write_cell(cell.key, result)
