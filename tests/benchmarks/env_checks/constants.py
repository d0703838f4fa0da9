"""What the best answer that looks at nothing earns, of what can be earned."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from rich.table import Table

from physrl.config.environment import EnvironmentConfig
from physrl.config.reward import PaperRewardConfig, RewardConfig, SimulatedRewardConfig
from physrl.environments.simulator import Simulator
from physrl.rewards.score import score
from physrl.tasks import TASKS
from physrl.tasks.answers import answer_text
from physrl.tasks.task import make_scene
from physrl.turns import carry_out
from physrl.types import Completion, Generation, Prompt, RolloutGroup

REWARDS: dict[str, RewardConfig] = {
    "simulated": SimulatedRewardConfig(),
    "paper": PaperRewardConfig(),
}
SETTINGS = EnvironmentConfig()
SCREENED, JUDGED = 24, 192
"""Scenes on which all constants are tried, and others on which the best are."""
SCENES_A_JOB = 12
KEPT = 4
"""Constants that are judged, for each reward."""


@dataclass(frozen=True)
class Job:
    task: str
    answers: tuple[str, ...]
    indices: range


def earnings(job: Job) -> np.ndarray:
    """Scenes x (answers, the ideal one last) x (success, then each reward)."""
    task, simulator, rows = TASKS[job.task], Simulator(), []
    for index in job.indices:
        scene = make_scene(task, SETTINGS, 0, "train", index)
        texts = (*map(answer_text, job.answers), task.target(scene))
        completions = tuple(Completion(text, (), (), False, 0) for text in texts)
        generation = Generation((), completions)
        prompt = Prompt.ask(scene.scene_id, "")
        group = carry_out(
            RolloutGroup(scene, prompt, ()), [prompt], [generation], REWARDS["paper"], simulator
        )
        rows.append(
            [
                [rollout.last.outcome.success]
                + [score(scene, rollout.attempts, reward).total for reward in REWARDS.values()]
                for rollout in group.rollouts
            ]
        )
    simulator.close()
    return np.array(rows, float)


def constants(task_name: str) -> list[str]:
    """A grid over where ideal answers lie; every verdict for a task that asks for one."""
    task = TASKS[task_name]
    if not task.axes:
        return ["Yes", "No"]
    targets = [task.target(make_scene(task, SETTINGS, 1, "train", index)) for index in range(200)]
    numbers = np.array([[int(n) for n in re.findall(r"-?\d+", target)] for target in targets])
    steps = (25,) if len(task.axes) == 1 else (15, 7)
    axes = [
        np.linspace(column.min(), column.max(), count).round().astype(int)
        for column, count in zip(numbers.T, steps, strict=True)
    ]
    medians = np.median(numbers, axis=0).round().astype(int)
    grid = [*product(*axes), tuple(medians), (0,) * len(axes)]
    return [" ".join(map(str, answer)) for answer in grid]


def check(run: Callable[..., list[Any]]) -> tuple[Table, dict[str, Any]]:
    table = Table(
        "task",
        "tried",
        "best constant",
        "right %",
        *(f"{name}: share %" for name in REWARDS),
        title="The best constant answer's part of the mean reward of the ideal answer",
        caption="the paper's reward pays for being near, so near answers earn most of it",
    )
    largest = 0.0  # of the default reward, on the tasks that ask for an offset
    for task in TASKS:
        answers = constants(task)
        best = _best(run, task, answers)
        row = [max(0.0, 100 * share) for share, _ in best[1:]]
        table.add_row(
            task,
            str(len(answers)),
            best[1][1],
            f"{100 * best[0][0]:.1f}",
            *(f"{share:.1f}" for share in row),
        )
        if TASKS[task].axes:
            largest = max(largest, row[0])
    return table, {"constant_answer_max_share": round(largest, 2)}


def _best(run: Callable[..., list[Any]], task: str, answers: list[str]) -> list[tuple[float, str]]:
    """For success and each reward: the best constant's share, and that constant."""
    screened = _earn(run, task, answers, range(SCREENED)).mean(axis=0)[:-1]
    ranks = np.argsort(-screened, axis=0, kind="stable")[:KEPT]
    kept = [answers[k] for k in sorted(set(ranks.ravel().tolist()))]
    judged = _earn(run, task, kept, range(SCREENED, SCREENED + JUDGED)).mean(axis=0)
    return [
        (float(column[:-1].max() / column[-1]), kept[int(column[:-1].argmax())])
        for column in judged.T
    ]


def _earn(run: Callable[..., list[Any]], task: str, answers: list[str], indices: range) -> Any:
    jobs = [
        Job(task, tuple(answers), indices[first : first + SCENES_A_JOB])
        for first in range(0, len(indices), SCENES_A_JOB)
    ]
    return np.concatenate(run(f"constants, {task}", earnings, jobs))
