"""A gallery of answers: scenes are rebuilt from their ids, and answers are simulated again."""

from collections.abc import Sequence
from contextlib import ExitStack, closing

from physrl.config.environment import EnvironmentConfig, GeneratorName
from physrl.environments.generators import GENERATORS
from physrl.environments.renderer import Renderer, make_renderer
from physrl.environments.simulator import FALL_DISPLACEMENT, Simulator
from physrl.errors import DataError
from physrl.evaluation.requests import cell_source
from physrl.evaluation.results import Answer, CellResult
from physrl.evaluation.specs import CellSpec
from physrl.report.report import GalleryItem
from physrl.scene_source import ask
from physrl.tasks import TASKS
from physrl.tasks.task import make_scene
from physrl.types import QUESTIONS, Action, Outcome, SceneSpec, Split, Unparseable

Answered = tuple[str, CellSpec, CellResult]
"""A policy's name, what it was asked, and its answers."""
SPLITS: dict[str, Split] = {"train": "train", "validation": "validation", "test": "test"}
GENERATOR_NAMES: dict[str, GeneratorName] = {name: name for name in GENERATORS}


def make_gallery(answered: Sequence[Answered], per_task: int = 3) -> tuple[GalleryItem, ...]:
    """Select up to `per_task` greedy answers of each cell, with the image that the model saw.

    Tasks whose attempts start from what earlier ones left are omitted: an answer is the last
    attempt alone. So are photographs, and images of the user's own.

    Raises:
        DataError: an answer's scene id is not of the form task/split/generator/seed/index.
    """
    renderers: dict[EnvironmentConfig, Renderer] = {}
    with ExitStack() as stack:
        simulator = stack.enter_context(closing(Simulator()))
        items = []
        for policy, cell, result in answered:
            asked = cell.condition
            if asked.test_set == "real" or asked.task == QUESTIONS or asked.decoding != "greedy":
                continue
            environment = cell.settings.environment
            if environment not in renderers:
                renderers[environment] = stack.enter_context(closing(make_renderer(environment)))
            for answer in choose_spread(result.answers, per_task):
                items.append(_make_item(policy, cell, answer, simulator, renderers[environment]))
        return tuple(item for item in items if item is not None)


def choose_spread(answers: Sequence[Answer], count: int) -> tuple[Answer, ...]:
    """Select answers of each kind in turn: successes, failures, answers without simulation."""
    kinds = (
        [answer for answer in answers if answer.success],
        [answer for answer in answers if not answer.success and answer.status == "settled"],
        [answer for answer in answers if answer.status != "settled"],
    )
    rounds = range(max(map(len, kinds)))
    alternating = [kind[index] for index in rounds for kind in kinds if index < len(kind)]
    return tuple(alternating[:count])


def rebuild_scene(scene_id: str, settings: EnvironmentConfig) -> SceneSpec:
    """Sample the scene of an id again.

    Raises:
        DataError: the id is not of the form task/split/generator/seed/index.
    """
    try:
        task, split, name, seed, index = scene_id.split("/")
        generator = GENERATOR_NAMES[name]
        settings = GENERATORS[generator](settings)
        return make_scene(TASKS[task], settings, int(seed), SPLITS[split], int(index), generator)
    except (ValueError, KeyError):
        raise DataError(
            f"scene id '{scene_id}' is not of the form task/split/generator/seed/index: run the "
            "evaluation again"
        ) from None


def _make_item(
    policy: str, cell: CellSpec, answered: Answer, simulator: Simulator, renderer: Renderer
) -> GalleryItem | None:
    scene = rebuild_scene(answered.scene_id, cell.settings.environment)
    task = TASKS[scene.task]
    source = cell_source(cell)
    (prompt,) = ask(source, [scene], renderer)
    assert prompt.image is not None
    action = task.parse(answered.completion)
    outcome = task.act(scene, action, simulator)
    if task.attempts > 1 and task.advance(scene, outcome) is not scene:
        return None
    size = source.environment.image_size
    after = (
        renderer.render(outcome.poses, scene.camera, scene.appearance, size)
        if outcome.poses
        else None
    )
    return GalleryItem(
        policy=policy,
        question=prompt.text,
        answer=answered.completion,
        before=prompt.image,
        after=after,
        note=_describe(action, outcome),
        reward=answered.reward,
        success=answered.success,
    )


def _describe(action: Action, outcome: Outcome) -> str:
    if isinstance(action, Unparseable):
        return f"not simulated: {action.reason}"
    if outcome.status == "illegal":
        return "not simulated: the block would overlap another one or the ground"
    moved = f"largest displacement {outcome.displacement:.2f} block widths"
    if outcome.height_gain > 0 and outcome.success:
        return f"the taller tower stands: {moved}"
    is_stable = outcome.displacement <= FALL_DISPLACEMENT
    return f"{'all blocks stand' if is_stable else 'blocks fell'}: {moved}"
