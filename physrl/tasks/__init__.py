"""The tasks by name."""

from physrl.tasks.place import Place
from physrl.tasks.place_closed_loop import PlaceClosedLoop
from physrl.tasks.stability import Stability
from physrl.tasks.task import Task

TASKS: dict[str, Task] = {task.name: task for task in (Stability(), Place(), PlaceClosedLoop())}
