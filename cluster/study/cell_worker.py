"""Answers cells, one after the other, and keeps each: a process with a simulator and a renderer.

cell -> scenes, prompts -> a generator's completions -> actions, outcomes -> the store
"""

from collections.abc import Sequence
from pathlib import Path

from physrl.config.baseline import BaselineConfig
from physrl.data.photos import Photo, load_photos
from physrl.environments.renderer import Renderer, make_renderer
from physrl.environments.simulator import Simulator
from physrl.evaluation.asking import ask_photos, cell_sampling, cell_source
from physrl.evaluation.cells import CellResult, open_cell_store
from physrl.evaluation.controls import answer_control
from physrl.evaluation.evaluator import answered, answered_photo
from physrl.evaluation.specs import CellSpec
from physrl.protocols import Generator
from physrl.rollout import follow_ups, retry, retry_sampling, roll_out
from physrl.scene_source import SceneSource, prepare
from physrl.types import Prompt, SceneSpec

Prepared = tuple[list[SceneSpec], list[Prompt]]


class CellWorker:
    """What an actor is made of.

    Args:
        store: where results are kept.
        real_images: the photographs, for the test set `real`.
    """

    def __init__(self, store: str, real_images: Path | None) -> None:
        self._store = open_cell_store(store)
        self._photos = () if real_images is None else load_photos(real_images)
        self._simulator = Simulator()
        self._renderers: dict[str, Renderer] = {}
        self._prepared: tuple[SceneSource, int, Prepared] | None = None

    def answer(self, cell: CellSpec, generator: Generator) -> None:
        """Ask a model, and keep what it answered."""
        renderer = self._renderer(cell)
        if cell.condition.test_set == "real":
            result = answer_photos(cell, generator, self._photos, renderer)
        else:
            result = answer_scenes(
                cell, generator, self._prepare(cell, renderer), self._simulator, renderer
            )
        self._store.write_cell(result)

    def answer_network(self, cell: CellSpec, config: BaselineConfig, checkpoint: Path) -> None:
        """Ask a policy without language, and keep what it answered."""
        from cluster.baseline.network import NetworkPolicy

        self.answer(cell, NetworkPolicy(config, checkpoint))

    def answer_control(self, cell: CellSpec) -> None:
        """Keep the answers of a control that looks at no picture."""
        self._store.write_cell(answer_control(cell, self._simulator, self._photos))

    def _prepare(self, cell: CellSpec, renderer: Renderer) -> Prepared:
        """The cell's scenes and prompts; kept, since the next model is asked the same."""
        source, scenes = cell_source(cell), cell.settings.scenes
        if self._prepared is None or self._prepared[:2] != (source, scenes):
            self._prepared = (source, scenes, prepare(source, range(scenes), renderer))
        return self._prepared[2]

    def _renderer(self, cell: CellSpec) -> Renderer:
        environment = cell.settings.environment
        if environment.renderer not in self._renderers:
            self._renderers[environment.renderer] = make_renderer(environment)
        return self._renderers[environment.renderer]


def answer_scenes(
    cell: CellSpec,
    generator: Generator,
    prepared: Prepared,
    simulator: Simulator,
    renderer: Renderer,
) -> CellResult:
    """A model's answers to the cell's scenes, carried out, with every attempt its task allows.

    Raises:
        GenerationError: from the generator.
        SimulationError: PyBullet gave values that are not finite.
    """
    scenes, prompts = prepared
    source, sampling, reward = cell_source(cell), cell_sampling(cell), cell.settings.reward
    generations = generator.generate(prompts, sampling)
    groups = roll_out(scenes, prompts, generations, reward, simulator, source.auxiliary)
    while prompts := follow_ups(groups, renderer, source):
        generations = generator.generate(prompts, retry_sampling(sampling))
        groups = retry(groups, prompts, generations, reward, simulator, source.auxiliary)
    answers = [answered(group.scene, rollout) for group in groups for rollout in group.rollouts]
    return CellResult(cell.key, tuple(answers))


def answer_photos(
    cell: CellSpec, generator: Generator, photos: Sequence[Photo], renderer: Renderer
) -> CellResult:
    """A model's verdicts about photographs.

    Raises:
        GenerationError: from the generator.
    """
    generations = generator.generate(ask_photos(cell, photos, renderer), cell_sampling(cell))
    answers = [
        answered_photo(photo, generation.completions[0])
        for photo, generation in zip(photos, generations, strict=True)
    ]
    return CellResult(cell.key, tuple(answers))
