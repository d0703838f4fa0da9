"""The cells and probes of a study: each is computed once, and kept at once.

models of one base -> a cell server ---+
                                       v
cells that are not there -> queue -> CellWorker -> the store
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray

from cluster.inference.cell_server import PolicyFiles, ServedPolicy, policy_files, start_cell_server
from cluster.runtime.placement import SERVER_CPUS, WORKER_CPUS
from cluster.runtime.session import actor_environment
from cluster.study.cell_worker import CellWorker
from cluster.study.probe_worker import ProbeWorker, probed_model
from cluster.study.work_queue import Finished, Work, run_all
from physrl.config.model import ModelConfig
from physrl.config.run import RunConfig
from physrl.evaluation.cells import CellStore
from physrl.evaluation.specs import CellSpec, StudyPlan, Subject

ADAPTERS = 8
"""How many adapters a server holds side by side."""


def served_subjects(plan: StudyPlan, store: CellStore) -> dict[Subject, PolicyFiles]:
    """The models that can be asked: those before training, and those that are trained.

    Raises:
        GenerationError: a trained model has vanished.
    """
    found: dict[Subject, PolicyFiles] = {}
    for subject in plan.subjects:
        if subject.kind == "base":
            found[subject] = PolicyFiles(subject.key, adapter=plan.config_of(subject).model.adapter)
        elif subject.kind == "trained":
            trained = store.read_trained(subject.key)
            if trained is not None:
                found[subject] = policy_files(subject.key, Path(trained.checkpoint))
    return found


def by_server(plan: StudyPlan, subjects: Sequence[Subject]) -> list[list[Subject]]:
    """Subjects whose policies one server can hold."""
    groups: dict[Any, list[Subject]] = {}
    for subject in subjects:
        model = plan.config_of(subject).model
        sides = None if model.lora is None else (model.lora.vision or model.lora.projector)
        groups.setdefault((model.path, model.dtype, model.quantization, sides), []).append(subject)
    return list(groups.values())


def served_model(runs: Sequence[RunConfig], path: str) -> ModelConfig:
    """The base of all these runs' models, with room for the longest and the largest of them."""
    models = [run.model for run in runs]
    loras = [model.lora for model in models if model.lora is not None]
    limits = {
        name: max(getattr(model, name) for model in models)
        for name in ("max_prompt_tokens", "max_completion_tokens", "max_images")
    }
    lora = max(loras, key=lambda one: one.rank, default=None)
    changes = {"path": path, "lora": lora, "adapter": None, "quantization": None}
    return models[0].model_copy(update=limits | changes)


def answer_cells(
    plan: StudyPlan,
    store: CellStore,
    scratch: Path,
    real_images: Path | None,
    workers: int,
) -> Iterator[Work | Finished]:
    """Compute every cell that is not there and can be; gives each as it begins and ends.

    Needs a running Ray cluster.

    Args:
        scratch: a folder that all machines share, for bases that are served from a copy.
        workers: how many cells are under way at once, at most.
    """
    done = store.done()
    missing = [cell for cell in plan.cells if cell.key not in done]
    if not missing:
        return
    policies = served_subjects(plan, store)
    most = max((plan.config_of(one).runtime.inference_servers for one in policies), default=0)
    count = fitting(workers, ray.cluster_resources().get("CPU", 0), servers=most)
    with _actors(CellWorker, store.location, real_images, count=count) as actors:
        yield from run_all(actors, _without_server(plan, store, missing))
        for group in by_server(plan, list(policies)):
            cells = [cell for cell in missing if cell.subject in group]
            if not cells:
                continue
            runs = [plan.config_of(subject) for subject in group]
            with _servers(runs, scratch) as started:
                yield from run_all(actors, _ordered(cells, policies, started))


def _without_server(plan: StudyPlan, store: CellStore, cells: Sequence[CellSpec]) -> list[Work]:
    """What needs no language model: controls, and networks that are trained."""
    works = []
    for cell in cells:
        if cell.subject.kind in ("physics", "guesser"):
            works.append(_work(cell, "answer_control"))
        elif cell.subject.kind == "baseline":
            trained = store.read_trained(cell.subject.key)
            if trained is not None:
                run = plan.baselines[cell.subject.key]
                works.append(_work(cell, "answer_network", run, Path(trained.checkpoint)))
    return works


def _ordered(
    cells: Sequence[CellSpec],
    policies: Mapping[Subject, PolicyFiles],
    servers: Sequence[ray.actor.ActorHandle],
) -> list[Work]:
    """Adapters side by side under one condition after the other; full weights are loaded once."""
    conditions = list(dict.fromkeys(cell.condition for cell in cells))
    subjects = list(dict.fromkeys(cell.subject for cell in cells))

    def place(cell: CellSpec) -> tuple[int, int]:
        condition, subject = conditions.index(cell.condition), subjects.index(cell.subject)
        full = policies[cell.subject].model is not None
        return (subject, condition) if full else (-1, condition)

    works = []
    for cell in sorted(cells, key=place):
        server = servers[subjects.index(cell.subject) % len(servers)]
        works.append(_work(cell, "answer", ServedPolicy(server, policies[cell.subject])))
    return works


def _work(cell: CellSpec, method: str, *arguments: object) -> Work:
    name = f"{cell.subject.name} on {cell.condition.task} ({cell.condition.protocol})"
    return Work(cell.key, name, method, (cell, *arguments))


def probe_models(plan: StudyPlan, store: CellStore, workers: int) -> Iterator[Work | Finished]:
    """Compute every probe that is not there and can be; gives each as it begins and ends.

    Needs a running Ray cluster.
    """
    done, works = store.done(), []
    for spec in plan.probes:
        trained = store.read_trained(spec.subject.key)
        if spec.key in done or (spec.subject.kind == "trained" and trained is None):
            continue
        checkpoint = None if trained is None else Path(trained.checkpoint)
        model = probed_model(plan.config_of(spec.subject).model, checkpoint)
        name = f"probes of {spec.subject.name} on {spec.task}"
        works.append(Work(spec.key, name, "probe", (spec, model)))
    if not works:
        return
    gpus = max(plan.config_of(spec.subject).runtime.gpus_per_rank for spec in plan.probes)
    count = fitting(workers, ray.cluster_resources().get("CPU", 0), servers=0)
    with _actors(ProbeWorker, store.location, count=count, gpus=gpus) as actors:
        yield from run_all(actors, works)


def fitting(workers: int, cores: float, servers: int) -> int:
    """As many workers as a cluster's cores hold beside the servers that they wait for."""
    return max(1, min(workers, int((cores - servers * SERVER_CPUS) / WORKER_CPUS)))


@contextmanager
def _actors(kind: type, *arguments: object, count: int, gpus: float = 0) -> Iterator[list[Any]]:
    """As many actors, which come back when they die."""
    actor = ray.remote(kind).options(
        num_cpus=WORKER_CPUS,
        num_gpus=gpus,
        max_restarts=-1,
        runtime_env={"env_vars": actor_environment(threads=1)},
    )
    actors = [actor.remote(*arguments) for _ in range(count)]
    try:
        yield actors
    finally:
        for one in actors:
            ray.kill(one)


@contextmanager
def _servers(runs: Sequence[RunConfig], scratch: Path) -> Iterator[list[Any]]:
    """As many as a run has, for the base of all these runs."""
    model, runtime = runs[0].model, runs[0].runtime
    path = model.path
    if model.quantization is not None:
        path = str(scratch / "dequantized")
        ray.get(ray.remote(_dequantize).options(num_gpus=1).remote(model, path))
    served = served_model(runs, path)
    servers = [
        start_cell_server(served, runtime, seed=runs[0].seed, adapters=min(ADAPTERS, len(runs)))
        for _ in range(runtime.inference_servers)
    ]
    try:
        yield servers
    finally:
        for one in servers:
            ray.kill(one)


def _dequantize(model: ModelConfig, folder: str) -> None:
    from physrl.models.loading import save_dequantized  # heavy, and the driver needs none of it

    save_dequantized(model, Path(folder))
