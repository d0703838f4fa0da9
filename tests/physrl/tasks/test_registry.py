from physrl.report.html import ACHIEVEMENTS
from physrl.report.table import ROWS
from physrl.tasks import TASKS
from physrl.types import QUESTIONS


def test_reports_know_every_task() -> None:
    assert tuple(ACHIEVEMENTS) == ROWS == (*TASKS, QUESTIONS, "real")
