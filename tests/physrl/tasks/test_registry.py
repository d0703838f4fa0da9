from physrl.report.html import ACHIEVEMENTS
from physrl.report.table import ROWS
from physrl.tasks import TASKS


def test_reports_know_every_task() -> None:
    assert tuple(ACHIEVEMENTS) == ROWS == (*TASKS, "real")
