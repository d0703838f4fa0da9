"""The policies of a study's models, grouped by the servers that can hold them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cluster.weights.sync import Policy
from physrl.config.model import ModelConfig
from physrl.config.run import RunConfig
from physrl.errors import GenerationError
from physrl.evaluation.cells import CellStore
from physrl.evaluation.specs import StudyPlan, Subject


def study_policies(plan: StudyPlan, store: CellStore) -> dict[Subject, Policy]:
    """Find the policies of bases and of all models that have been trained.

    Raises:
        GenerationError: the checkpoint of a trained model is missing.
    """
    found: dict[Subject, Policy] = {}
    for subject in plan.subjects:
        if subject.kind == "base":
            adapter = plan.config_of(subject).model.adapter
            form: Any = "base" if adapter is None else "adapter"
            found[subject] = Policy(subject.key, 0, form, adapter)
        elif subject.kind == "trained":
            trained = store.read_trained(subject.key)
            if trained is not None:
                found[subject] = checkpoint_policy(subject.key, Path(trained.checkpoint))
    return found


def checkpoint_policy(name: str, checkpoint: Path) -> Policy:
    """Make the policy of a checkpoint's weights.

    Raises:
        GenerationError: the folder contains neither `adapter/` nor `model/`.
    """
    if (checkpoint / "adapter").is_dir():
        return Policy(name, 0, "adapter", str(checkpoint / "adapter"))
    if (checkpoint / "model").is_dir():
        return Policy(name, 0, "weights", str(checkpoint / "model"))
    raise GenerationError(f"checkpoint {checkpoint} is missing: it has no adapter/ or model/")


def by_base(plan: StudyPlan, subjects: Sequence[Subject]) -> list[list[Subject]]:
    """Group subjects whose policies one server can hold."""
    groups: dict[Any, list[Subject]] = {}
    for subject in subjects:
        model = plan.config_of(subject).model
        sides = None if model.lora is None else (model.lora.vision or model.lora.projector)
        base = (model.path, model.revision, model.min_pixels, model.max_pixels)
        groups.setdefault((*base, model.dtype, model.quantization, sides), []).append(subject)
    return list(groups.values())


def shared_model(runs: Sequence[RunConfig]) -> ModelConfig:
    """Return the base of these runs, with the largest of their limits and adapter ranks."""
    models = [run.model for run in runs]
    loras = [model.lora for model in models if model.lora is not None]
    limits = {
        name: max(getattr(model, name) for model in models)
        for name in ("max_prompt_tokens", "max_completion_tokens", "max_images")
    }
    lora = max(loras, key=lambda lora: lora.rank, default=None)
    return models[0].model_copy(update=limits | {"lora": lora, "adapter": None})
