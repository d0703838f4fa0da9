"""The prompts of a cell, about scenes or photographs, and its sampling parameters."""

from collections.abc import Sequence
from dataclasses import replace

from physrl.config.run import RunConfig
from physrl.data.photos import Photo
from physrl.environments.generators import GENERATORS
from physrl.environments.renderer import Renderer
from physrl.evaluation.answers import STABILITY, photo_prompt
from physrl.evaluation.specs import CellSpec
from physrl.protocols import RolloutRequest, Sampling
from physrl.scene_source import SceneSource
from physrl.tasks import TASKS
from physrl.tasks.answers import VERDICTS, answer_pattern
from physrl.tasks.examples import Examples, blank_images, example_turns
from physrl.tasks.prediction import request_prediction
from physrl.types import QUESTIONS, Prompt

SAMPLED = 2**31
"""Offset of the seed of sampled answers, far from the seeds of training steps."""


def cell_request(cell: CellSpec) -> RolloutRequest:
    """Make the request of a cell's rollouts.

    Raises:
        ConfigError: the test set does not differ from the study's scenes.
        ValueError: the cell is about photographs.
    """
    indices = range(cell.settings.scenes)
    return RolloutRequest(cell_source(cell), indices, cell_sampling(cell), cell.settings.reward)


def cell_source(cell: CellSpec) -> SceneSource:
    """Make the source of a cell's scenes.

    Raises:
        ConfigError: the test set does not differ from the study's scenes.
        ValueError: the cell is about photographs.
    """
    condition, settings = cell.condition, cell.settings
    if condition.test_set == "real":
        raise ValueError("a cell about photographs has no scenes: use photo_prompts")
    return SceneSource(
        task=condition.task,
        environment=GENERATORS[condition.test_set](settings.environment),
        seed=settings.seed,
        split="test",
        reasoning=settings.reasoning,
        auxiliary=settings.auxiliary,
        generator=condition.test_set,
        examples=_examples(cell),
        blank=_is_blank(cell),
    )


def run_photo_prompts(config: RunConfig, photos: Sequence[Photo]) -> list[Prompt]:
    """Make a stability prompt for each photograph, as a run's evaluation asks it."""
    prompts = [photo_prompt(photo, reasoning=config.model.reasoning) for photo in photos]
    if config.auxiliary is not None and config.auxiliary.predicts:
        return [request_prediction(prompt) for prompt in prompts]
    return prompts


def photo_prompts(cell: CellSpec, photos: Sequence[Photo], renderer: Renderer) -> list[Prompt]:
    """Make a stability prompt for each photograph, after the examples of the cell (scenes)."""
    examples = _examples(cell)
    before = () if examples is None else example_turns(STABILITY, examples, renderer)
    prompts = [photo_prompt(photo, reasoning=cell.settings.reasoning) for photo in photos]
    if cell.settings.auxiliary is not None and cell.settings.auxiliary.predicts:
        prompts = [request_prediction(prompt) for prompt in prompts]
    prompts = [replace(prompt, turns=before + prompt.turns) for prompt in prompts]
    return [blank_images(prompt) for prompt in prompts] if _is_blank(cell) else prompts


def cell_sampling(cell: CellSpec) -> Sampling:
    """Return the sampling parameters of a cell: one completion for each prompt.

    Constrained decoding is greedy too, among the completions of the task's grammar. Of questions
    that are answered Yes or No, the probabilities of both are measured.
    """
    settings, task = cell.settings, cell.condition.task
    axes = () if task == QUESTIONS else TASKS[task].axes
    length, choices = settings.max_completion_tokens, () if axes or task == QUESTIONS else VERDICTS
    match cell.condition.decoding:
        case "greedy":
            return Sampling(1, 0.0, length, settings.seed, choices=choices)
        case "constrained":
            predicts = settings.auxiliary is not None and settings.auxiliary.predicts
            pattern = answer_pattern(axes, reasoning=settings.reasoning, predicts=predicts)
            return Sampling(1, 0.0, length, settings.seed, pattern=pattern, choices=choices)
    seed = settings.seed + SAMPLED
    return Sampling(1, settings.temperature, length, seed, settings.min_p, choices=choices)


def _examples(cell: CellSpec) -> Examples | None:
    shots = cell.condition.shots
    if not shots:
        return None
    return Examples(shots, cell.settings.environment, cell.settings.seed, cell.condition.examples)


def _is_blank(cell: CellSpec) -> bool:
    return cell.condition.images == "blank"
