"""The cells of a policy's own evaluation, outside of a study: the same records as a study's."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from physrl.config.evaluation import EvaluationConfig
from physrl.config.model import ModelConfig
from physrl.config.run import RunConfig
from physrl.config.study import Decoding
from physrl.evaluation.cell_plan import make_cell
from physrl.evaluation.keys import content_key, photos_content
from physrl.evaluation.specs import CellSettings, CellSpec, Condition, Subject
from physrl.storage.contents import dataset_content, files_content, questions_content
from physrl.types import QUESTIONS

if TYPE_CHECKING:
    from physrl.data.photos import Photo  # pyarrow, which identities do not need

BASE = "base"
"""Name of the model before training."""
DECODINGS: tuple[Decoding, ...] = ("greedy", "sampled")
SERVED = {
    "revision", "dtype", "quantization", "max_prompt_tokens", "max_images", "min_pixels",
    "max_pixels",
}  # fmt: skip
"""Settings of a model that decide how it answers; the others decide how it trains, or what it is
asked."""
ADAPTER_WEIGHTS = "adapter_model.safetensors"


def policy_subject(name: str, model: ModelConfig) -> Subject:
    """Identify a policy by the content of its weights, whatever its folder and its name are."""
    adapter = None
    if model.adapter is not None:
        assert model.lora is not None  # checked by the configuration
        folder = Path(model.adapter)
        scale = model.lora.model_dump(include={"rank", "alpha", "rslora"})
        adapter = [files_content(folder / ADAPTER_WEIGHTS) or model.adapter, scale]
    settings = model.model_dump(mode="json", include=SERVED)
    weights = files_content(Path(model.path)) or model.path
    key = content_key(weights=weights, adapter=adapter, settings=settings)
    return Subject("base" if name == BASE else "trained", key, name)


def run_cells(
    config: RunConfig, subject: Subject, photos: "Sequence[Photo]"
) -> tuple[CellSpec, ...]:
    """Make the cells of a policy under the conditions that a run's configuration names."""
    settings = CellSettings(
        scenes=config.evaluation.scenes,
        seed=config.seed,
        environment=config.environment,
        reward=config.reward,
        reasoning=config.model.reasoning,
        temperature=config.temperature,
        min_p=0.0,
        max_completion_tokens=config.model.max_completion_tokens,
        auxiliary=config.auxiliary,
    )
    cells = evaluation_cells(subject, config.evaluation, settings, photos)
    if config.questions is None:
        return cells
    asked = replace(settings, data=questions_content(config.questions))
    conditions = [Condition(QUESTIONS, decoding=decoding) for decoding in DECODINGS]
    measured = conditions if QUESTIONS in config.evaluation.tasks else []
    return (*(make_cell(subject, each, asked) for each in measured), *cells)


def evaluation_cells(
    subject: Subject,
    evaluation: EvaluationConfig,
    settings: CellSettings,
    photos: "Sequence[Photo]",
) -> tuple[CellSpec, ...]:
    """Make a cell for each test set, task and decoding, and one for the photographs, greedy.

    Questions about the user's own images have no scenes and are left out.

    Args:
        settings: those of scenes that are drawn.
        photos: none to leave them out.
    """
    datasets = {task: dataset_content(place) for task, place in evaluation.data.items()}
    cells = [
        make_cell(
            subject,
            Condition(task, test_set, decoding=decoding),
            replace(settings, data=datasets.get(task) if test_set == "iid" else None),
        )
        for test_set in evaluation.generators
        for task in evaluation.tasks
        if task != QUESTIONS
        for decoding in DECODINGS
    ]
    if photos:
        shown = replace(settings, scenes=len(photos), photos=photos_content(photos))
        cells.append(make_cell(subject, Condition("stability", "real"), shown))
    return tuple(cells)
