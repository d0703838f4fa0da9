"""Success of rules without physics, on default test scenes of every task."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from physrl.config.environment import EnvironmentConfig
from physrl.environments.renderer import TinyRenderer
from physrl.environments.simulator import Simulator
from physrl.evaluation.rule_names import rule_names
from physrl.evaluation.rules import Rule, make_rule
from physrl.tasks import TASKS
from physrl.tasks.answers import answer_text, format_action
from physrl.tasks.task import Task, make_scene
from physrl.types import Outcome, SceneSpec

SETTINGS = EnvironmentConfig()
SCENES = 300
ALIGNERS = ("place", "place_x", "stabilize")
"""Tasks in which the aligner may be right more often than other rules."""


@dataclass(frozen=True)
class Job:
    task: str
    rule: str
    """Name of a rule, or `physics` for ideal answers."""


def successes(job: Job) -> int:
    """Count the scenes in which a rule's answers, parsed as a model's, succeed in simulation."""
    task = TASKS[job.task]
    with closing(Simulator()) as simulator, closing(TinyRenderer()) as renderer:
        rule = (
            task.ideal
            if job.rule == "physics"
            else make_rule(job.rule, task, SETTINGS, 0, renderer)
        )
        count = 0
        for index in range(SCENES):
            count += succeeds(task, rule, make_scene(task, SETTINGS, 0, "test", index), simulator)
    return count


def succeeds(task: Task, rule: Rule, scene: SceneSpec, simulator: Simulator) -> bool:
    """Return whether one of a rule's attempts succeeds; of several moves, the last."""
    outcome = _attempt(task, rule, scene, simulator)
    for _ in range(task.attempts - 1):
        if outcome.success:
            break
        scene = task.advance(scene, outcome)
        outcome = _attempt(task, rule, scene, simulator)
    return outcome.success


def _attempt(task: Task, rule: Rule, scene: SceneSpec, simulator: Simulator) -> Outcome:
    answer = answer_text(format_action(rule(scene), task.axes))
    return task.act(scene, task.parse(answer), simulator)


def check(run: Callable[..., list[Any]]) -> tuple[Table, dict[str, Any]]:
    jobs = [Job(task, rule) for task in TASKS for rule in ("physics", *rule_names(task))]
    shares = dict(zip(jobs, (n / SCENES for n in run("rules", successes, jobs)), strict=True))
    names = list(dict.fromkeys(job.rule for job in jobs))
    table = Table("task", *names, title=f"Success % of rules without physics, {SCENES} scenes")
    for task in TASKS:
        row = [shares.get(Job(task, name)) for name in names]
        table.add_row(task, *("" if share is None else f"{100 * share:.1f}" for share in row))
    others = [
        share
        for job, share in shares.items()
        if TASKS[job.task].axes and job.rule not in ("physics", "aligner")
    ]
    aligned = [shares[Job(task, "aligner")] for task in ALIGNERS]
    return table, {
        "best_rule_share": round(max(others), 3),
        "aligner_share": round(max(aligned), 3),
    }
