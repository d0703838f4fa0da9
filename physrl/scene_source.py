"""Sources of scenes, and their prompts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from physrl.config.algorithm import Targets
from physrl.config.auxiliary import OutcomeConfig
from physrl.config.environment import EnvironmentConfig, GeneratorName
from physrl.config.run import RunConfig
from physrl.config.task import TaskName
from physrl.data.dataset import open_dataset
from physrl.environments.generators import GENERATORS
from physrl.environments.renderer import Renderer
from physrl.tasks import TASKS
from physrl.tasks.examples import Examples, blank_images, example_turns
from physrl.tasks.prediction import request_prediction
from physrl.tasks.task import make_prompt, make_scene
from physrl.types import Prompt, SceneSpec, Split, scene_id


@dataclass(frozen=True, slots=True)
class SceneSource:
    """A stream of scenes, and the form of the prompts about them."""

    task: str
    environment: EnvironmentConfig
    seed: int
    split: Split
    reasoning: bool
    generator: GeneratorName = "iid"
    """Named set of scenes that `environment` describes."""
    data: str | None = None
    """Collected dataset of the scenes; None to sample them."""
    mixture: tuple[str, ...] = ()
    """Tasks of the scenes in turn; if empty, all scenes are of `task`."""
    targets: Targets = "ideal"
    """Target completions of demonstrations."""
    examples: Examples | None = None
    """Solved examples before every question, if any."""
    blank: bool = False
    """True to show blank images."""
    places: Mapping[int, int] = field(default_factory=dict)
    """Indices, in the stream of their task, of the scenes that a curriculum chose for some indices
    of this source."""
    auxiliary: OutcomeConfig | None = None
    """Auxiliary prediction of outcomes, if any."""

    @property
    def tasks(self) -> tuple[str, ...]:
        """Tasks of the scenes: scene i is of task i modulo their number."""
        return self.mixture or (self.task,)

    @property
    def attempts(self) -> int:
        """Largest number of attempts at a scene."""
        return max(TASKS[task].attempts for task in self.tasks)

    @property
    def predicts(self) -> bool:
        """True if a question requests a prediction before the answer."""
        return self.auxiliary is not None and self.auxiliary.predicts

    def locate(self, index: int) -> tuple[str, int]:
        """Return the task of a scene, and the scene's index in the stream of that task."""
        place, number = divmod(index, len(self.tasks))
        return self.tasks[number], self.places.get(index, place)

    def scene_id(self, index: int) -> str:
        """Return the id of a scene."""
        task, place = self.locate(index)
        return scene_id(task, self.split, self.generator, self.seed, place)

    def with_auxiliary(self, prompt: Prompt) -> Prompt:
        """Return a prompt with the request of a prediction, if the source has one."""
        return request_prediction(prompt) if self.predicts else prompt


dataset = lru_cache(maxsize=16)(open_dataset)
"""Open a dataset, whose manifest a process reads only once."""


def scene_source(
    config: RunConfig, task: TaskName, split: Split, generator: GeneratorName = "iid"
) -> SceneSource:
    """Make the source of a run's scenes of a task, from the configured dataset if there is one.

    Raises:
        ConfigError: the generator would not change the environment's settings.
    """
    data: str | None = None
    targets: Targets = "ideal"
    trained = generator == "iid" and task == config.task
    if trained and split == "train":
        data = config.dataset
        algorithm = config.algorithm
        if not algorithm.uses_rollouts:
            targets = algorithm.targets
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
        targets=targets,
    )


def prepare(
    source: SceneSource, indices: Iterable[int], renderer: Renderer
) -> tuple[list[SceneSpec], list[Prompt]]:
    """Sample or load the scenes of the indices, and make their first prompts."""
    if source.data is not None:
        stored = [dataset(source.data)[index] for index in indices]
        scenes = [scene for scene, _, _ in stored]
        return scenes, [source.with_auxiliary(prompt) for _, prompt, _ in stored]
    scenes = [draw_scene(source, index) for index in indices]
    return scenes, ask(source, scenes, renderer)


def ask(source: SceneSource, scenes: Sequence[SceneSpec], renderer: Renderer) -> list[Prompt]:
    """Make the first prompt about each scene in the form of the source."""
    size = source.environment.image_size
    prompts = [
        source.with_auxiliary(
            make_prompt(TASKS[scene.task], scene, renderer, size, reasoning=source.reasoning)
        )
        for scene in scenes
    ]
    if source.examples is not None:
        examples = {
            name: example_turns(TASKS[name], source.examples, renderer) for name in source.tasks
        }
        prompts = [
            replace(prompt, turns=examples[scene.task] + prompt.turns)
            for scene, prompt in zip(scenes, prompts, strict=True)
        ]
    return [blank_images(prompt) for prompt in prompts] if source.blank else prompts


def draw_scene(source: SceneSource, index: int) -> SceneSpec:
    """Sample scene `index` of a source.

    Raises:
        SceneError: the source's settings do not admit one.
    """
    task, place = source.locate(index)
    return make_scene(
        TASKS[task], source.environment, source.seed, source.split, place, source.generator
    )
