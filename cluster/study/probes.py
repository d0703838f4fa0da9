"""The probes of a study: linear regressions on the activations of each model."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import ray

from cluster.study.cells import limit_workers
from cluster.study.events import Finished, ResultTask, Started, compute_results
from cluster.training.phases import trained_model
from physrl.config.model import ModelConfig
from physrl.environments.renderer import make_renderer
from physrl.evaluation.cells import CellStore, open_cell_store
from physrl.evaluation.specs import ProbeSpec, StudyPlan


def compute_probes(plan: StudyPlan, store: CellStore, at_once: int) -> Iterator[Started | Finished]:
    """Compute every probe that is missing in the store and whose model is available.

    Needs a running Ray cluster.
    """
    done, tasks = store.done(), []
    for spec in plan.probes:
        trained = store.read_trained(spec.subject.key)
        if spec.key in done or (spec.subject.kind == "trained" and trained is None):
            continue
        checkpoint = None if trained is None else Path(trained.checkpoint)
        model = probed_model(plan.config_of(spec.subject).model, checkpoint)
        name = f"probes of {spec.subject.name} on {spec.task}"
        tasks.append(ResultTask(spec.key, name, (spec, model, store.location)))
    if not tasks:
        return
    gpus = max(plan.config_of(spec.subject).runtime.gpus_per_rank for spec in plan.probes)
    workers = limit_workers(at_once, ray.cluster_resources().get("CPU", 0), servers=0)
    yield from compute_results(_compute_probe, tasks, workers, gpus)


def probed_model(model: ModelConfig, checkpoint: Path | None) -> ModelConfig:
    """Return the model of a subject: the base, or the base with the weights of a checkpoint."""
    if checkpoint is not None:
        return trained_model(model, checkpoint)
    return model if model.adapter is not None else model.model_copy(update={"lora": None})


def _compute_probe(spec: ProbeSpec, model: ModelConfig, store: str) -> None:
    """Load a model, probe every layer, and store the result."""
    import torch

    from physrl.evaluation.probes import probe_model
    from physrl.models.loading import load_model
    from physrl.models.processor import configured_processor

    loaded = load_model(model)
    if torch.cuda.is_available() and model.quantization is None:
        loaded = loaded.cuda()
    with closing(make_renderer(spec.environment)) as renderer:
        result = probe_model(spec, loaded, configured_processor(model), renderer)
    open_cell_store(store).write_probe(result)
