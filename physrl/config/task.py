"""Names of tasks, and the facts about them that the configuration's rules use."""

from typing import Annotated, Any

from pydantic import AfterValidator

from physrl.registry import Registry
from physrl.types import QUESTIONS

FACTS = ("name", "wordings", "achievement", "axes", "movable", "shortcuts", "families", "attempts")
FACTS_OF_SEVERAL = ("again", "advance")
"""Further facts about tasks with several attempts."""
ANSWER_FORMS = ("a verdict", "one number", "two numbers")


def _make_task(name: str, kind: Any) -> Any:
    """Return the task of a class that states all facts of one."""
    facts = FACTS + (FACTS_OF_SEVERAL if getattr(kind, "attempts", 1) > 1 else ())
    if missing := [fact for fact in facts if not hasattr(kind, fact)]:
        raise ValueError(f"has no {', '.join(missing)}: state them in the class (docs/tasks.md)")
    if kind.name != name:
        raise ValueError(f"has the name '{kind.name}': register it under its own name")
    return kind()


TASKS: Registry[Any] = Registry(
    "physrl.tasks",
    {
        "stability": "physrl.tasks.stability:Stability",
        "judge": "physrl.tasks.judge:Judge",
        "stabilize": "physrl.tasks.stabilize:Stabilize",
        "place_x": "physrl.tasks.place_x:PlaceX",
        "place_y": "physrl.tasks.place_y:PlaceY",
        "place": "physrl.tasks.place:Place",
        "place_closed_loop": "physrl.tasks.place_closed_loop:PlaceClosedLoop",
        "counterweight": "physrl.tasks.counterweight:Counterweight",
        "build": "physrl.tasks.build:Build",
        "bridge": "physrl.tasks.bridge:Bridge",
    },
    _make_task,
)
"""Tasks by name; `physrl.tasks.TASKS` is the same registry with its type."""
TaskName = Annotated[str, AfterValidator(TASKS.require)]


def _known(name: str) -> str:
    return name if name == QUESTIONS else TASKS.require(name)


AnyTaskName = Annotated[str, AfterValidator(_known)]
"""A task about scenes, or `questions` about images of the user's own (`data.path`)."""


def answer_form(task: str) -> str:
    """Return the form of a task's answers; a policy without language has one form."""
    return "a text" if task == QUESTIONS else ANSWER_FORMS[len(TASKS[task].axes)]
