"""The cells of a study, each of which is computed once and stored as soon as it is complete.

missing cells -> controls, networks: Ray tasks, in one process each            -> the store
              -> language models: rollouts on servers, one base after the other -> the store
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import ray

from cluster.runtime.placement import SERVER_CPUS, WORKER_CPUS
from cluster.study.events import Finished, ResultTask, Started, compute_results
from cluster.study.policies import by_base, study_policies
from cluster.study.served_cells import ServedCells, cell_name, compute_served
from physrl.config.baseline import BaselineConfig
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
        at_once: largest number of cells computed at the same time.
    """
    done = store.done()
    missing = [cell for cell in plan.cells if cell.key not in done]
    if not missing:
        return
    policies = study_policies(plan, store)
    most = max((plan.config_of(one).runtime.inference_servers for one in policies), default=0)
    workers = limit_workers(at_once, ray.cluster_resources().get("CPU", 0), servers=most)
    local = _local_tasks(plan, store, missing, real_images)
    yield from compute_results(_compute_locally, local, workers)
    photos = () if real_images is None else load_photos(real_images)
    for group in by_base(plan, list(policies)):
        cells = [cell for cell in missing if cell.subject in group]
        if not cells:
            continue
        runs = [plan.config_of(subject) for subject in group]
        with closing(ServedCells(runs, photos, workers)) as served:
            yield from compute_served(served, cells, policies, store, at_once)


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
