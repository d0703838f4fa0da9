"""From scenes to prompts, and from completions to rollouts: parse, act, score.

The controller's workers and the reference loop both call these.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from physrl.config.algorithm import SFTConfig
from physrl.config.auxiliary import OutcomeConfig
from physrl.config.environment import EnvironmentConfig, GeneratorName
from physrl.config.reward import RewardConfig
from physrl.config.run import RunConfig, TaskName
from physrl.data.dataset import open_dataset
from physrl.environments.generators import GENERATORS
from physrl.environments.randomness import stream
from physrl.environments.renderer import Renderer
from physrl.environments.simulator import Simulator, start_pose
from physrl.errors import SceneError
from physrl.protocols import Sampling
from physrl.rewards.score import score
from physrl.tasks import TASKS
from physrl.tasks.answers import LARGEST_OFFSET, answer_text, words
from physrl.tasks.examples import Examples, blanked, solved
from physrl.tasks.first_move import (
    ask_alone,
    ask_first,
    motion_text,
    read_foretold,
    tried_action,
    true_motion,
)
from physrl.tasks.task import Task, feedback_text, make_prompt, make_scene
from physrl.types import (
    Action,
    Attempt,
    Completion,
    Demonstration,
    Generation,
    Offset,
    Outcome,
    Prompt,
    Rollout,
    RolloutGroup,
    SceneSpec,
    Split,
    Turn,
    scene_id,
)

OTHERS = 1 << 20
"""Scenes that a shuffled answer may be of."""


@dataclass(frozen=True, slots=True)
class SceneSource:
    """Which stream of scenes is drawn from, and how it is asked about."""

    task: str
    environment: EnvironmentConfig
    seed: int
    split: Split
    reasoning: bool
    generator: GeneratorName = "iid"
    """Which named set `environment` describes."""
    data: str | None = None
    """A collected dataset that holds the scenes; None draws them."""
    mixture: tuple[str, ...] = ()
    """Tasks that the scenes are of in turn; empty: all of `task`."""
    shuffled: bool = False
    """Whether a demonstration's answer is another scene's."""
    examples: Examples | None = None
    """Solved ones that stand before every question; None: none."""
    blank: bool = False
    """Whether pictures show nothing."""
    proposals: Mapping[int, EnvironmentConfig] = field(default_factory=dict)
    """What a curriculum draws some of the scenes from; of others, `environment`."""
    auxiliary: OutcomeConfig | None = None
    """What is foretold beside; None: nothing."""

    @property
    def tasks(self) -> tuple[str, ...]:
        """All that the scenes are of: scene i of the source is of task i modulo their number."""
        return self.mixture or (self.task,)

    @property
    def attempts(self) -> int:
        """How often a scene may be answered at most."""
        return max(TASKS[task].attempts for task in self.tasks)

    def scene_id(self, index: int) -> str:
        """The name of one of its scenes."""
        place, which = divmod(index, len(self.tasks))
        return scene_id(self.tasks[which], self.split, self.generator, self.seed, place)


_dataset = lru_cache(maxsize=16)(open_dataset)
"""A process reads a manifest once; what it lists does not change."""


def scene_source(
    config: RunConfig, task: TaskName, split: Split, generator: GeneratorName = "iid"
) -> SceneSource:
    """A run's scenes of one task, or those of a named set that differs from them.

    They come from the dataset that is configured for them, or are newly drawn.

    Raises:
        ConfigError: the generator has nothing to offer beside these settings.
    """
    data, shuffled = None, False
    trained = generator == "iid" and task == config.task
    if trained and split == "train":
        data = config.data
        shuffled = isinstance(config.algorithm, SFTConfig) and config.algorithm.targets != "ideal"
    elif generator == "iid" and split == "test":
        data = config.evaluation.data.get(task)
    return SceneSource(
        task=task,
        environment=GENERATORS[generator](config.environment),
        seed=config.seed,
        split=split,
        reasoning=config.model.reasoning,
        auxiliary=config.auxiliary,
        generator=generator,
        data=data,
        mixture=config.mixture if trained and split in ("train", "warm") else (),
        shuffled=shuffled,
    )


def step_indices(config: RunConfig, step: int) -> range:
    """The scenes of a training step; steps count from 0."""
    count = config.algorithm.prompts_per_step
    return range(step * count, (step + 1) * count)


def retry_sampling(sampling: Sampling) -> Sampling:
    """How later attempts of a rollout are drawn: each goes on alone."""
    return replace(sampling, group_size=1)


def training_sampling(config: RunConfig, step: int) -> Sampling:
    """How the completions of a training step are drawn."""
    algorithm = config.algorithm
    assert not isinstance(algorithm, SFTConfig)  # it samples nothing
    return Sampling(
        group_size=algorithm.group_size,
        temperature=config.temperature,
        max_tokens=config.model.max_completion_tokens,
        seed=config.seed + step,
    )


def prepare(
    source: SceneSource, indices: Iterable[int], renderer: Renderer
) -> tuple[list[SceneSpec], list[Prompt]]:
    """Scenes and their pictures with the question."""
    if source.data is not None:
        stored = [_dataset(source.data)[index] for index in indices]
        return [scene for scene, _, _ in stored], [_asked(source, each) for _, each, _ in stored]
    size = source.environment.image_size
    scenes = [draw_scene(source, index) for index in indices]
    prompts = [
        make_prompt(TASKS[scene.task], scene, renderer, size, reasoning=source.reasoning)
        for scene in scenes
    ]
    prompts = [_asked(source, prompt) for prompt in prompts]
    return scenes, _surrounded(source, scenes, prompts, renderer)


def _asked(source: SceneSource, prompt: Prompt) -> Prompt:
    """The question, with all that is asked beside."""
    return ask_first(prompt) if _foretells(source.auxiliary) else prompt


def _foretells(auxiliary: OutcomeConfig | None) -> bool:
    return auxiliary is not None and auxiliary.foretells


def _surrounded(
    source: SceneSource, scenes: Sequence[SceneSpec], prompts: list[Prompt], renderer: Renderer
) -> list[Prompt]:
    """The prompts after the source's examples, and without pictures if it is blank."""
    if source.examples is not None:
        before = {name: solved(TASKS[name], source.examples, renderer) for name in source.tasks}
        prompts = [
            replace(prompt, turns=before[scene.task] + prompt.turns)
            for scene, prompt in zip(scenes, prompts, strict=True)
        ]
    return [blanked(prompt) for prompt in prompts] if source.blank else prompts


def draw_scene(source: SceneSource, index: int) -> SceneSpec:
    """Scene `index` of a source that is newly drawn.

    Where the settings proposed for it admit none, it is drawn from the source's own.

    Raises:
        SceneError: those do not either.
    """
    place, which = divmod(index, len(source.tasks))
    task = TASKS[source.tasks[which]]
    settings = source.proposals.get(index, source.environment)
    try:
        return make_scene(task, settings, source.seed, source.split, place, source.generator)
    except SceneError:
        if index not in source.proposals:
            raise
    return make_scene(task, source.environment, source.seed, source.split, place, source.generator)


def demonstrate(
    source: SceneSource, indices: Iterable[int], renderer: Renderer, simulator: Simulator
) -> list[Demonstration]:
    """Prompts with their ideal answers, or with other scenes' where the source is shuffled.

    An auxiliary puts what will happen before each answer, or adds a second question of its own.

    Raises:
        SimulationError: PyBullet gave values that are not finite.
    """
    wanted = list(indices)
    scenes, prompts = prepare(source, wanted, renderer)
    if source.shuffled:
        answered = [_solved(source, _other(source, index)) for index in wanted]
    elif source.data is not None:
        answered = [_solved(source, index) for index in wanted]
    else:
        answered = [(scene, TASKS[scene.task].target(scene)) for scene in scenes]
    shown = []
    for scene, prompt, (other, target) in zip(scenes, prompts, answered, strict=True):
        shown += _demonstrations(source.auxiliary, scene, prompt, other, target, simulator)
    return shown


def _demonstrations(
    auxiliary: OutcomeConfig | None,
    scene: SceneSpec,
    prompt: Prompt,
    other: SceneSpec,
    target: str,
    simulator: Simulator,
) -> list[Demonstration]:
    """What is shown of a scene, with the answers of `other`, mostly the same one."""
    task = TASKS[scene.task]
    if auxiliary is None:
        return [Demonstration(prompt, target)]
    if auxiliary.foretells:
        motion = true_motion(task, other, task.ideal(other), simulator)
        return [Demonstration(prompt, motion_text(motion) + target)]
    motion = true_motion(task, other, tried_action(task, other), simulator)
    second = ask_alone(prompt, task, tried_action(task, scene))
    return [
        Demonstration(prompt, target),
        Demonstration(second, motion_text(motion), auxiliary.weight),
    ]


def _solved(source: SceneSource, index: int) -> tuple[SceneSpec, str]:
    """A scene and the ideal answer to it."""
    if source.data is not None:
        scene, _, target = _dataset(source.data)[index]
        return scene, target
    scene = draw_scene(source, index)
    return scene, TASKS[scene.task].target(scene)


def _other(source: SceneSource, index: int) -> int:
    """A scene of the same task that has nothing to do with this one."""
    count = OTHERS if source.data is None else len(_dataset(source.data))
    drawn = int(stream(f"{source.seed}/{source.task}/shuffled", index).integers(count))
    kinds = len(source.tasks)
    return drawn // kinds * kinds + index % kinds


def roll_out(
    scenes: Sequence[SceneSpec],
    prompts: Sequence[Prompt],
    generations: Sequence[Generation],
    reward: RewardConfig,
    simulator: Simulator,
    auxiliary: OutcomeConfig | None = None,
) -> list[RolloutGroup]:
    """Carry out every completion of every prompt: each rollout's first attempt.

    Args:
        auxiliary: that of the prompts' source.

    Raises:
        SimulationError: PyBullet gave values that are not finite.
    """
    groups = []
    for scene, prompt, generation in zip(scenes, prompts, generations, strict=True):
        carry_out = _Scene(scene, simulator, auxiliary)
        rollouts = []
        for completion in generation.completions:
            attempts = (carry_out(prompt, generation.prompt_token_ids, completion),)
            rollouts.append(Rollout(attempts, score(scene, attempts, reward, auxiliary)))
        groups.append(RolloutGroup(scene, prompt, tuple(rollouts)))
    return groups


def follow_ups(
    groups: Sequence[RolloutGroup], renderer: Renderer, source: SceneSource
) -> list[Prompt]:
    """What the model is asked next: one prompt for each rollout that may try again, in order.

    Of what it said only the answer is repeated: thoughts would fill the prompt, and words that are
    no answer might spell the template's own tokens.
    """
    prompts = []
    for group in groups:
        task = TASKS[group.scene.task]
        for place, rollout in enumerate(group.rollouts):
            if not _may_retry(rollout, task):
                continue
            last, count = rollout.last, len(rollout.attempts)
            poses = last.outcome.poses or tuple(map(start_pose, group.scene.blocks))
            image = renderer.render(
                poses, group.scene.camera, group.scene.appearance, source.environment.image_size
            )
            turns = (
                *last.prompt.turns,
                Turn("assistant", repeated(last.action, task)),
                Turn("user", feedback_text(last.outcome, reasoning=source.reasoning), (image,)),
            )
            asked = _asked(source, Prompt(f"{group.prompt.prompt_id}#{place}.{count}", turns))
            prompts.append(blanked(asked) if source.blank else asked)
    return prompts


def longest_conversation(source: SceneSource, renderer: Renderer) -> Prompt:
    """The last attempt's prompt in the first scene, as long as any can be; of one task."""
    task = TASKS[source.task]
    (scene,), (prompt,) = prepare(source, [0], renderer)
    answered = Turn("assistant", repeated(Offset(-LARGEST_OFFSET, -LARGEST_OFFSET), task))
    failed = Outcome("illegal", success=False)
    asked = Turn("user", feedback_text(failed, reasoning=source.reasoning), prompt.images)
    (asked,) = _asked(source, Prompt(scene.scene_id, (asked,))).turns
    return Prompt(scene.scene_id, prompt.turns + (answered, asked) * (task.attempts - 1))


def repeated(action: Action, task: Task) -> str:
    """What the model is reminded of having answered."""
    return answer_text(words(action, task.axes)) if words(action, task.axes) else "No answer."


def retry(
    groups: Sequence[RolloutGroup],
    prompts: Sequence[Prompt],
    generations: Sequence[Generation],
    reward: RewardConfig,
    simulator: Simulator,
    auxiliary: OutcomeConfig | None = None,
) -> list[RolloutGroup]:
    """Carry out the next attempt of every rollout that may try again; the others stay.

    Args:
        prompts: from `follow_ups`.
        generations: one a prompt, of one completion each.
        auxiliary: that of the prompts' source.
    """
    answers = iter(list(zip(prompts, generations, strict=True)))
    retried = []
    for group in groups:
        task = TASKS[group.scene.task]
        carry_out = _Scene(group.scene, simulator, auxiliary)
        rollouts = []
        for rollout in group.rollouts:
            if _may_retry(rollout, task):
                prompt, generation = next(answers)
                (completion,) = generation.completions
                attempt = carry_out(prompt, generation.prompt_token_ids, completion)
                attempts = (*rollout.attempts, attempt)
                rollout = Rollout(attempts, score(group.scene, attempts, reward, auxiliary))
            rollouts.append(rollout)
        retried.append(replace(group, rollouts=tuple(rollouts)))
    return retried


def _may_retry(rollout: Rollout, task: Task) -> bool:
    return not rollout.last.outcome.success and len(rollout.attempts) < task.attempts


class _Scene:
    """Carries completions out in one scene; equal actions are simulated once."""

    def __init__(
        self, scene: SceneSpec, simulator: Simulator, auxiliary: OutcomeConfig | None
    ) -> None:
        self._scene, self._simulator = scene, simulator
        self._foretells = _foretells(auxiliary)
        self._outcomes: dict[Action, Outcome] = {}

    def __call__(
        self, prompt: Prompt, prompt_token_ids: tuple[int, ...], completion: Completion
    ) -> Attempt:
        task = TASKS[self._scene.task]
        said, answer = (
            read_foretold(completion.text) if self._foretells else (None, completion.text)
        )
        action = task.parse(answer)
        if action not in self._outcomes:
            self._outcomes[action] = task.act(self._scene, action, self._simulator)
        outcome = self._outcomes[action]
        return Attempt(prompt, prompt_token_ids, completion, action, outcome, said)
