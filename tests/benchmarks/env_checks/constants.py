"""Reward of the best constant answer, relative to that of the ideal answer."""

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
"""Numbers of scenes for screening all constants, and of other scenes for judging the best ones."""
SCENES_PER_JOB = 12
KEPT = 4
"""Number of constants to judge, for each reward."""


@dataclass(frozen=True)
class Job:
    task: str
    answers: tuple[str, ...]
    indices: range


def rewards_of(job: Job) -> np.ndarray:
    """Compute scenes x (answers, the ideal one last) x (success, then each reward)."""
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
    """List constant answers: a grid over the range of ideal answers, or both verdicts."""
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
        "candidates",
        "best constant",
        "success %",
        *(f"{name}: share %" for name in REWARDS),
        title="The best constant answer: successes, and rewards relative to the ideal answer's",
        caption="the paper's reward depends on distance, so near answers get most of it; only the "
        "first move of build is made here, which finishes no tower",
    )
    largest = 0.0  # share of the default reward, over the offset tasks
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
    """Find the best constant answer for success and for each reward.

    Returns:
        Its share of successes, then its rewards relative to the ideal answer's, each with it.
    """
    screened = _evaluate(run, task, answers, range(SCREENED)).mean(axis=0)[:-1]
    ranks = np.argsort(-screened, axis=0, kind="stable")[:KEPT]
    kept = [answers[k] for k in sorted(set(ranks.ravel().tolist()))]
    judged = _evaluate(run, task, kept, range(SCREENED, SCREENED + JUDGED)).mean(axis=0)
    judged[:, 1:] /= judged[-1, 1:]
    return [(float(column.max()), kept[int(column.argmax())]) for column in judged[:-1].T]


def _evaluate(run: Callable[..., list[Any]], task: str, answers: list[str], indices: range) -> Any:
    jobs = [
        Job(task, tuple(answers), indices[first : first + SCENES_PER_JOB])
        for first in range(0, len(indices), SCENES_PER_JOB)
    ]
    return np.concatenate(run(f"constants, {task}", rewards_of, jobs))
