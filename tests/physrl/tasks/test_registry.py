from typing import get_args

from physrl.config.run import TaskName
from physrl.report.html import ACHIEVEMENTS
from physrl.report.table import ROWS
from physrl.tasks import TASKS


def test_every_list_of_tasks_is_the_registry() -> None:
    assert get_args(TaskName) == tuple(TASKS)
    assert (*TASKS, "real") == ROWS
    assert tuple(ACHIEVEMENTS) == (*TASKS, "real")
