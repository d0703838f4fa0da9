"""Names of the rules without physics that are defined for a task."""

from physrl.config.task import TASKS


def rule_names(task: str) -> tuple[str, ...]:
    """List the rules that are defined for a task."""
    facts = TASKS[task]
    names = ["constant", "nearest"]
    if "x" in facts.axes:
        names += ["side"]
    if len(facts.axes) == 2:
        names += ["height", "side_and_height", "exact_x"]
    return (*names, *facts.shortcuts, *facts.families)
