"""What a cell asks of its subject: scenes or photographs, examples before them, and sampling."""

from collections.abc import Sequence
from dataclasses import replace

from physrl.data.photos import Photo
from physrl.environments.generators import GENERATORS
from physrl.environments.renderer import Renderer
from physrl.evaluation.answers import STABILITY, photo_prompt
from physrl.evaluation.specs import CellSpec
from physrl.protocols import RolloutRequest, Sampling
from physrl.scene_source import SceneSource
from physrl.tasks.examples import Examples, blanked, solved
from physrl.tasks.prediction import request_prediction
from physrl.types import Prompt

SAMPLED = 2**31
"""Offset of the seed of sampled answers, far from those of training steps, which count up."""


def cell_request(cell: CellSpec) -> RolloutRequest:
    """Request the rollouts of a cell about scenes.

    Raises:
        ConfigError: the test set does not differ from the study's scenes.
        ValueError: the cell is about photographs.
    """
    indices = range(cell.settings.scenes)
    return RolloutRequest(cell_source(cell), indices, cell_sampling(cell), cell.settings.reward)


def cell_source(cell: CellSpec) -> SceneSource:
    """Return the cell's stream of scenes.

    Raises:
        ConfigError: the test set does not differ from the study's scenes.
        ValueError: the cell is about photographs.
    """
    condition, asked = cell.condition, cell.settings
    if condition.test_set == "real":
        raise ValueError("photographs are no scenes: use photo_prompts")
    return SceneSource(
        task=condition.task,
        environment=GENERATORS[condition.test_set](asked.environment),
        seed=asked.seed,
        split="test",
        reasoning=asked.reasoning,
        auxiliary=asked.auxiliary,
        generator=condition.test_set,
        examples=_examples(cell),
        blank=_is_blank(cell),
    )


def photo_prompts(cell: CellSpec, photos: Sequence[Photo], renderer: Renderer) -> list[Prompt]:
    """Ask the stability question about each photograph, after the cell's examples (scenes)."""
    examples = _examples(cell)
    before = () if examples is None else solved(STABILITY, examples, renderer)
    prompts = [photo_prompt(photo, reasoning=cell.settings.reasoning) for photo in photos]
    if cell.settings.auxiliary is not None and cell.settings.auxiliary.predicts:
        prompts = [request_prediction(prompt) for prompt in prompts]
    prompts = [replace(prompt, turns=before + prompt.turns) for prompt in prompts]
    return [blanked(prompt) for prompt in prompts] if _is_blank(cell) else prompts


def cell_sampling(cell: CellSpec) -> Sampling:
    """Return how the cell's answers are sampled: one a scene."""
    asked = cell.settings
    if cell.condition.decoding == "greedy":
        return Sampling(1, 0.0, asked.max_completion_tokens, asked.seed)
    return Sampling(1, asked.temperature, asked.max_completion_tokens, asked.seed + SAMPLED)


def _examples(cell: CellSpec) -> Examples | None:
    shots = cell.condition.shots
    return Examples(shots, cell.settings.environment, cell.settings.seed) if shots else None


def _is_blank(cell: CellSpec) -> bool:
    return cell.condition.images == "blank"
