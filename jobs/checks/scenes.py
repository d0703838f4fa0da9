"""Checks that scenes can be drawn from the configured environment."""

from collections.abc import Iterable

from physrl.config.environment import EnvironmentConfig
from physrl.config.run import RunConfig
from physrl.types import QUESTIONS


def check_scenes(tasks: Iterable[str], environment: EnvironmentConfig, seed: int) -> None:
    """Draw two scenes of the fewest and two of the most blocks for each task.

    Raises:
        SceneError: the environment's settings, such as the margin, admit no scene.
    """
    from physrl.tasks import TASKS
    from physrl.tasks.task import make_scene

    for task in sorted(tasks):
        low, high = environment.num_blocks
        fewest = min(max(low, TASKS[task].fewest_blocks), high)
        for num_blocks in sorted({fewest, high}):
            settings = environment.model_copy(update={"num_blocks": (num_blocks, num_blocks)})
            for index in range(2):
                make_scene(TASKS[task], settings, seed, "train", index)


def check_test_sets(config: RunConfig) -> None:
    """Draw scenes of each named test set of an evaluation.

    Raises:
        ConfigError: a test set does not differ from the run's scenes.
        SceneError: its settings admit no scene.
    """
    from physrl.environments.generators import GENERATORS

    for name in config.evaluation.generators:
        settings = GENERATORS[name](config.environment)
        if name != "iid":
            about_scenes = [task for task in config.evaluation.tasks if task != QUESTIONS]
            check_scenes(about_scenes, settings, config.seed)
