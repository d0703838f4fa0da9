"""Answers with pictures: scenes are rebuilt from their ids, and answers carried out again."""

from collections.abc import Sequence

from physrl.config.environment import EnvironmentConfig, GeneratorName
from physrl.environments.generators import GENERATORS
from physrl.environments.renderer import Renderer, make_renderer
from physrl.environments.simulator import FALL_DISPLACEMENT, Simulator
from physrl.errors import DataError
from physrl.evaluation.results import Answered, PolicyResult
from physrl.report.report import GalleryItem
from physrl.tasks import TASKS
from physrl.tasks.task import make_prompt, make_scene
from physrl.types import Action, Outcome, SceneSpec, Split, Unparseable

PICTURE_SIZE = 224
"""Pixels; larger than what the model sees, for people."""
SPLITS: dict[str, Split] = {"train": "train", "validation": "validation", "test": "test"}
GENERATOR_NAMES: dict[str, GeneratorName] = {name: name for name in GENERATORS}


def make_gallery(
    policies: Sequence[PolicyResult],
    settings: EnvironmentConfig,
    *,
    reasoning: bool,
    per_task: int = 3,
) -> tuple[GalleryItem, ...]:
    """Up to `per_task` greedy answers of each policy to each simulated task.

    Args:
        settings: the scenes' distribution, as when the policies were evaluated.
        reasoning: whether the policies were asked to think first.

    Raises:
        DataError: an answer's scene id is not of the form task/split/generator/seed/index.
    """
    simulator, renderer = Simulator(), make_renderer(settings)
    try:
        return tuple(
            _make_item(policy.policy, answered, settings, reasoning, simulator, renderer)
            for policy in policies
            for result in policy.results
            if result.task in TASKS and result.decoding == "greedy"
            for answered in choose_spread(result.answers, per_task)
        )
    finally:
        simulator.close()
        renderer.close()


def choose_spread(answers: Sequence[Answered], count: int) -> tuple[Answered, ...]:
    """A few answers of every kind: successes, failures and what was not simulated, in turn."""
    kinds = (
        [answer for answer in answers if answer.success],
        [answer for answer in answers if not answer.success and answer.status == "settled"],
        [answer for answer in answers if answer.status != "settled"],
    )
    rounds = range(max(map(len, kinds)))
    in_turn = [kind[place] for place in rounds for kind in kinds if place < len(kind)]
    return tuple(in_turn[:count])


def rebuild_scene(scene_id: str, settings: EnvironmentConfig) -> SceneSpec:
    """The scene that an id names.

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
            f"scene id '{scene_id}' is not of the form task/split/generator/seed/index: evaluate "
            "again"
        ) from None


def _make_item(
    policy: str,
    answered: Answered,
    settings: EnvironmentConfig,
    reasoning: bool,
    simulator: Simulator,
    renderer: Renderer,
) -> GalleryItem:
    scene = rebuild_scene(answered.scene_id, settings)
    task = TASKS[scene.task]
    prompt = make_prompt(task, scene, renderer, PICTURE_SIZE, reasoning=reasoning)
    (before,) = prompt.images
    action = task.parse(answered.completion)
    outcome = task.act(scene, action, simulator)
    after = (
        renderer.render(outcome.poses, scene.camera, scene.appearance, PICTURE_SIZE)
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
        return f"nothing was simulated: {action.reason}"
    if outcome.status == "illegal":
        return "nothing was simulated: the block would be inside another or below the ground"
    moved = f"the block that moved most moved {outcome.displacement:.2f} block widths"
    if outcome.height_gain > 0 and outcome.success:
        return f"a taller tower stands: {moved}"
    stands = outcome.displacement <= FALL_DISPLACEMENT
    return f"{'all blocks stand' if stands else 'blocks fell'}: {moved}"
