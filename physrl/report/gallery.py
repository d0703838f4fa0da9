"""A gallery of answers: scenes are rebuilt from their ids, and answers are simulated again."""

from collections.abc import Sequence
from contextlib import closing

from physrl.config.environment import EnvironmentConfig, GeneratorName
from physrl.environments.generators import GENERATORS
from physrl.environments.renderer import Renderer, make_renderer
from physrl.environments.simulator import FALL_DISPLACEMENT, Simulator
from physrl.errors import DataError
from physrl.evaluation.results import Answer, PolicyResult
from physrl.report.report import GalleryItem
from physrl.tasks import TASKS
from physrl.tasks.task import make_prompt, make_scene
from physrl.types import Action, Outcome, SceneSpec, Split, Unparseable

IMAGE_SIZE = 224
"""Width and height of images in pixels; larger than what the model sees."""
SPLITS: dict[str, Split] = {"train": "train", "validation": "validation", "test": "test"}
GENERATOR_NAMES: dict[str, GeneratorName] = {name: name for name in GENERATORS}


def make_gallery(
    policies: Sequence[PolicyResult],
    settings: EnvironmentConfig,
    *,
    reasoning: bool,
    per_task: int = 3,
) -> tuple[GalleryItem, ...]:
    """Select up to `per_task` greedy answers of each policy to each simulated task.

    Tasks whose attempts start from what earlier ones left are omitted: an answer is the last
    attempt alone.

    Args:
        settings: scene settings of the evaluation.
        reasoning: True if the prompts asked for reasoning.

    Raises:
        DataError: an answer's scene id is not of the form task/split/generator/seed/index.
    """
    with closing(Simulator()) as simulator, closing(make_renderer(settings)) as renderer:
        items = (
            _make_item(policy.policy, answered, settings, reasoning, simulator, renderer)
            for policy in policies
            for result in policy.results
            if result.task in TASKS and result.decoding == "greedy"
            for answered in choose_spread(result.answers, per_task)
        )
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
    policy: str,
    answered: Answer,
    settings: EnvironmentConfig,
    reasoning: bool,
    simulator: Simulator,
    renderer: Renderer,
) -> GalleryItem | None:
    scene = rebuild_scene(answered.scene_id, settings)
    task = TASKS[scene.task]
    prompt = make_prompt(task, scene, renderer, IMAGE_SIZE, reasoning=reasoning)
    (before,) = prompt.images
    action = task.parse(answered.completion)
    outcome = task.act(scene, action, simulator)
    if task.attempts > 1 and task.advance(scene, outcome) is not scene:
        return None
    after = (
        renderer.render(outcome.poses, scene.camera, scene.appearance, IMAGE_SIZE)
        if outcome.poses
        else None
    )
    return GalleryItem(
        policy=policy,
        question=prompt.text,
        answer=answered.completion,
        before=before,
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
