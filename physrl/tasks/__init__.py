"""The tasks by name."""

from physrl.tasks.place import Place
from physrl.tasks.place_closed_loop import PlaceClosedLoop
from physrl.tasks.place_x import PlaceX
from physrl.tasks.place_y import PlaceY
from physrl.tasks.stability import Stability
from physrl.tasks.stabilize import Stabilize
from physrl.tasks.task import Task

ALL: tuple[Task, ...] = (
    Stability(),
    Stabilize(),
    PlaceX(),
    PlaceY(),
    Place(),
    PlaceClosedLoop(),
)
TASKS: dict[str, Task] = {task.name: task for task in ALL}
