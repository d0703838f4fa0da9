"""Streams of scenes, and the prompts that ask about them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from physrl.config.auxiliary import OutcomeConfig
from physrl.config.environment import EnvironmentConfig, GeneratorName
from physrl.config.run import RunConfig
from physrl.config.task import TaskName
from physrl.data.dataset import open_dataset
from physrl.environments.generators import GENERATORS
from physrl.environments.renderer import Renderer
from physrl.errors import SceneError
from physrl.tasks import TASKS
from physrl.tasks.examples import Examples, blanked, solved
from physrl.tasks.prediction import request_prediction
from physrl.tasks.task import make_prompt, make_scene
from physrl.types import Prompt, SceneSpec, Split, scene_id


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
    """What is predicted beside; None: nothing."""

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

    @property
    def predicts(self) -> bool:
        """Whether a question asks for what will happen before its answer."""
        return self.auxiliary is not None and self.auxiliary.predicts

    def asked(self, prompt: Prompt) -> Prompt:
        """The question, with all that is asked beside."""
        return request_prediction(prompt) if self.predicts else prompt


dataset = lru_cache(maxsize=16)(open_dataset)
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
        algorithm = config.algorithm
        shuffled = not algorithm.uses_rollouts and algorithm.targets != "ideal"
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


def prepare(
    source: SceneSource, indices: Iterable[int], renderer: Renderer
) -> tuple[list[SceneSpec], list[Prompt]]:
    """Scenes and their pictures with the question."""
    if source.data is not None:
        stored = [dataset(source.data)[index] for index in indices]
        return [scene for scene, _, _ in stored], [source.asked(each) for _, each, _ in stored]
    size = source.environment.image_size
    scenes = [draw_scene(source, index) for index in indices]
    prompts = [
        make_prompt(TASKS[scene.task], scene, renderer, size, reasoning=source.reasoning)
        for scene in scenes
    ]
    prompts = [source.asked(prompt) for prompt in prompts]
    return scenes, _surrounded(source, scenes, prompts, renderer)


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
