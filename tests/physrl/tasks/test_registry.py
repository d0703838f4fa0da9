from physrl.report.html import ACHIEVEMENTS
from physrl.report.table import TASKS as MEASURED
from physrl.tasks import TASKS


def test_reports_know_every_task() -> None:
    assert tuple(ACHIEVEMENTS) == MEASURED == (*TASKS, "real")
