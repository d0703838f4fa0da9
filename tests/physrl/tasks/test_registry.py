from typing import get_args

from physrl.config.run import TaskName
from physrl.evaluation.results import EvaluationTask
from physrl.report.html import ACHIEVEMENTS
from physrl.tasks import TASKS


def test_every_list_of_tasks_is_the_registry() -> None:
    assert get_args(TaskName) == tuple(TASKS)
    assert get_args(EvaluationTask) == (*TASKS, "real")
    assert tuple(ACHIEVEMENTS) == (*TASKS, "real")
