"""Evaluation of cells in this process, with any `Generator`: networks and controls."""

from collections.abc import Sequence

from physrl.data.photos import Photo
from physrl.evaluation.answers import group_answers, photo_answer
from physrl.evaluation.requests import cell_request, cell_sampling, photo_prompts
from physrl.evaluation.results import CellResult
from physrl.evaluation.specs import CellSpec
from physrl.local_stages import LocalStages
from physrl.protocols import Generator
from physrl.rollout import run_rollouts
from physrl.world import World


def evaluate_cell(
    cell: CellSpec, generator: Generator, world: World, photos: Sequence[Photo]
) -> CellResult:
    """Compute and score a generator's answers to a cell's scenes or photographs.

    Raises:
        GenerationError: the generator failed.
        SimulationError: PyBullet returned values that are not finite.
    """
    if cell.condition.test_set == "real":
        prompts = photo_prompts(cell, photos, world.renderer(cell.settings.environment))
        generations = generator.generate(prompts, cell_sampling(cell))
        return CellResult(
            cell.condition,
            tuple(
                photo_answer(photo, generation.completions[0])
                for photo, generation in zip(photos, generations, strict=True)
            ),
        )
    groups = run_rollouts(cell_request(cell), LocalStages(world, generator))
    answers = [answer for group in groups for answer in group_answers(group.read())]
    return CellResult(cell.condition, tuple(answers))
