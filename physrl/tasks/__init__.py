"""Tasks by name."""

from physrl.config.task import TASKS as REGISTRY
from physrl.registry import Registry
from physrl.tasks.task import Task

TASKS: Registry[Task] = REGISTRY
