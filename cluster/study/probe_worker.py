"""Reads off models what a line can read, one model after the other, and keeps the scores."""

from contextlib import closing
from pathlib import Path

from physrl.config.model import ModelConfig
from physrl.environments.renderer import make_renderer
from physrl.evaluation.cells import open_cell_store
from physrl.evaluation.specs import ProbeSpec


class ProbeWorker:
    """What an actor is made of."""

    def __init__(self, store: str) -> None:
        self._store = open_cell_store(store)

    def probe(self, spec: ProbeSpec, model: ModelConfig) -> None:
        """Load a model, probe every layer, keep the result."""
        import torch

        from physrl.evaluation.probes import probe_model
        from physrl.models.loading import load_model
        from physrl.models.processor import load_processor

        loaded = load_model(model)
        if torch.cuda.is_available() and model.quantization is None:
            loaded = loaded.cuda()
        with closing(make_renderer(spec.environment)) as renderer:
            result = probe_model(spec, loaded, load_processor(model.path), renderer)
        self._store.write_probe(result)


def probed_model(model: ModelConfig, checkpoint: Path | None) -> ModelConfig:
    """A subject's model: the base's, or that of a checkpoint which was trained from it."""
    if checkpoint is None:
        return model if model.adapter is not None else model.model_copy(update={"lora": None})
    if (checkpoint / "adapter").is_dir():
        return model.model_copy(update={"adapter": str(checkpoint / "adapter")})
    changes = {"path": str(checkpoint / "model"), "lora": None, "adapter": None}
    return model.model_copy(update=changes)
