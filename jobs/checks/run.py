"""Checks of a whole configuration, before anything slow starts."""

from jobs.checks.adapter import check_start_adapter
from jobs.checks.checkpoint import check_model, check_quantization
from jobs.checks.lengths import check_answers, check_conversation
from jobs.checks.photos import check_photos
from jobs.checks.questions import check_questions
from jobs.checks.ray_cluster import check_cluster, check_dashboard
from jobs.checks.scenes import check_scenes, check_test_sets
from jobs.checks.storage import check_storage, check_writable
from physrl.config import RunConfig
from physrl.config.dataset import CollectConfig
from physrl.tracking import check_tracking
from physrl.types import QUESTIONS


def check(config: RunConfig) -> None:
    """Check every folder, model, port and scene that a run needs.

    Raises:
        UserError: names the first that is missing or unfit, its value and the remedy.
    """
    tasks = {*config.tasks, *config.evaluation.tasks} - {QUESTIONS}
    check_model("model.path", config.model.path, config.model)
    check_quantization(config.model)
    check_tracking(config.tracking)
    if config.model.adapter is not None:
        check_start_adapter(config.model)
    if config.evaluation.real_images is not None:
        check_photos(config, config.evaluation.real_images)
    if config.questions is not None:
        check_questions(config, config.questions)
    if config.dataset is not None or config.evaluation.data:
        from physrl.data.dataset import check_data

        check_data(config)
    if config.stored is not None:
        check_storage(config.stored)
    check_cluster()
    check_dashboard(config.runtime)
    check_writable(config.folder)
    check_scenes(tasks, config.environment, config.seed)
    check_test_sets(config)
    for task in sorted(tasks):
        check_conversation(task, config)
    check_answers(config)


def check_collection(config: CollectConfig) -> None:
    """Check the scenes of a dataset to collect, and the Ray cluster that collects it.

    Raises:
        UserError: no scene can be drawn, or the cluster does not answer.
    """
    check_cluster()
    from physrl.environments.generators import GENERATORS

    settings = GENERATORS[config.generator](config.environment)
    check_scenes([config.task], settings, config.seed)


def check_sizing(config: RunConfig) -> None:
    """Check the model that is to be sized, and the Ray cluster whose capacity is read.

    Raises:
        UserError: the model is missing or unsupported, or the cluster does not answer.
    """
    check_model("model.path", config.model.path, config.model)
    check_cluster()
