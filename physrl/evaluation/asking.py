"""What the subject of a cell is asked: its scenes or photographs, examples before, how it answers.

A cell's scenes go the way of all scenes: `prepare(cell_source(cell), ...)`, generate under
`cell_sampling(cell)`, `roll_out`, `follow_ups`, `retry`, and `answered` of each rollout.
"""

from collections.abc import Sequence
from dataclasses import replace

from physrl.data.photos import Photo
from physrl.environments.generators import GENERATORS
from physrl.environments.renderer import Renderer
from physrl.evaluation.evaluator import STABILITY, photo_prompt
from physrl.evaluation.specs import CellSpec
from physrl.protocols import Sampling
from physrl.scene_source import SceneSource
from physrl.tasks.examples import Examples, blanked, solved
from physrl.tasks.prediction import request_prediction
from physrl.types import Prompt

SAMPLED = 2**31
"""Added to the seed of sampled answers: far from those of training steps, which count up."""


def cell_source(cell: CellSpec) -> SceneSource:
    """The cell's scenes, the first `cell.asked.scenes` of which are asked about.

    Raises:
        ConfigError: the test set has nothing to offer beside the study's scenes.
        ValueError: the cell is about photographs.
    """
    condition, asked = cell.condition, cell.asked
    if condition.test_set == "real":
        raise ValueError("photographs are no scenes: use ask_photos")
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


def ask_photos(cell: CellSpec, photos: Sequence[Photo], renderer: Renderer) -> list[Prompt]:
    """The stability question about each photograph, after the cell's examples, which are scenes."""
    examples = _examples(cell)
    before = () if examples is None else solved(STABILITY, examples, renderer)
    asked = [photo_prompt(photo, reasoning=cell.asked.reasoning) for photo in photos]
    if cell.asked.auxiliary is not None and cell.asked.auxiliary.predicts:
        asked = [request_prediction(prompt) for prompt in asked]
    prompts = [replace(prompt, turns=before + prompt.turns) for prompt in asked]
    return [blanked(prompt) for prompt in prompts] if _is_blank(cell) else prompts


def cell_sampling(cell: CellSpec) -> Sampling:
    """How the answers are drawn: one a scene."""
    asked = cell.asked
    if cell.condition.decoding == "greedy":
        return Sampling(1, 0.0, asked.max_completion_tokens, asked.seed)
    return Sampling(1, asked.temperature, asked.max_completion_tokens, asked.seed + SAMPLED)


def _examples(cell: CellSpec) -> Examples | None:
    shots = cell.condition.shots
    return Examples(shots, cell.asked.environment, cell.asked.seed) if shots else None


def _is_blank(cell: CellSpec) -> bool:
    return cell.condition.images == "blank"
