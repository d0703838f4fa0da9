"""Success of rules that the scenes were not chosen against, on stacks and on planks.

The scenes of these tasks are drawn so that no guess of one family is right often
(`physrl.tasks.landmarks`). Here other rules are made by chance: weighted means of two to four
landmarks of scenes with equally many blocks and the same block to move, plus a step towards one. A
ridge regression from all places and sizes to the ideal place is tried as well. What fits best in
one half of the scenes is measured in the other.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table
from sklearn.linear_model import RidgeCV

from physrl.config.environment import EnvironmentConfig
from physrl.environments.geometry import Floats
from physrl.environments.palette import RED
from physrl.evaluation.rules import right_interval
from physrl.tasks import TASKS
from physrl.tasks.landmarks import find_landmarks
from physrl.tasks.placing import carrying_block
from physrl.tasks.plank_rules import see_landmarks
from physrl.tasks.stabilize import red_index
from physrl.tasks.task import Task, make_scene
from physrl.types import SceneSpec

SETTINGS = EnvironmentConfig()
STACKS = ("place", "place_x", "stabilize")
TASK_NAMES = (*STACKS, "counterweight", "bridge")
SCENES, PARTS = 3000, 6
STRANGERS = 4000
LARGEST_STEP = 0.6


@dataclass(frozen=True)
class Job:
    task: str
    part: int


@dataclass(frozen=True)
class Seen:
    """What a rule may use of a scene; places are relative to the block below, or to the plank."""

    kind: tuple[int, int]
    """Number of blocks, and index of the one to move."""
    landmarks: Floats
    places: Floats
    """Places of the other blocks, and sizes."""
    low: float
    high: float
    """Bounds of the right places."""


def look(job: Job) -> list[Seen]:
    """Draw a part of the scenes, with the places at which the blocks stand."""
    task, per_part = TASKS[job.task], SCENES // PARTS
    numbers = range(job.part * per_part, (job.part + 1) * per_part)
    see = see_stack if job.task in STACKS else see_plank
    return [see(task, make_scene(task, SETTINGS, 0, "test", number)) for number in numbers]


def see_stack(task: Task, scene: SceneSpec) -> Seen:
    """See a stack, as it is beside the block below the red one."""
    index = red_index(scene)
    x = np.array([block.x for block in scene.blocks])
    sizes = np.array([block.size for block in scene.blocks])
    below, landmarks = x[index - 1], find_landmarks(x, sizes, index)
    places = np.array([*(np.delete(x, index) - below), *sizes])
    found = np.array([float(place) - below for place in landmarks.values()])
    return Seen((len(x), index), found, places, *_right_places(task, scene, below))


def see_plank(task: Task, scene: SceneSpec) -> Seen:
    """See a loaded plank from its middle, and the size, but not the place, of the red block."""
    plank = carrying_block(scene.blocks)
    places = [plank.edges[0]]
    for block in scene.blocks:
        if block.color == RED:
            places.append(block.size)
        elif block is not plank:
            places += [block.size, block.x - plank.x]
    found = np.concatenate(list(see_landmarks(scene).values()))
    right = _right_places(task, scene, plank.x)
    return Seen((len(scene.blocks), 0), found, np.array(places), *right)


def _right_places(task: Task, scene: SceneSpec, origin: float) -> tuple[float, float]:
    """Return the bounds of the red block's right places, relative to a place."""
    red = next(block.x for block in scene.blocks if block.color == RED)
    low, high = right_interval(task, scene)
    return low + red - origin, high + red - origin


def best_strangers(seen: list[Seen]) -> tuple[float, float]:
    """Return the share of scenes in which the best stranger, and a regression, is right."""
    groups = defaultdict(list)
    for one in seen:
        groups[one.kind].append(one)
    strangers = regressed = total = 0.0
    for group in groups.values():
        known, new = group[::2], group[1::2]
        rng = np.random.default_rng(0)
        landmarks = len(group[0].landmarks)
        weights = np.array([_weights(rng, landmarks) for _ in range(STRANGERS)])
        towards = rng.integers(landmarks, size=STRANGERS)
        steps = rng.uniform(-LARGEST_STEP, LARGEST_STEP, STRANGERS) * rng.integers(
            2, size=STRANGERS
        )
        tried = [_right(weights, towards, steps, scenes) for scenes in (known, new)]
        strangers += float(tried[1][tried[0].mean(axis=1).argmax()].sum())
        model = RidgeCV(np.logspace(-4, 2, 13)).fit(
            [one.places for one in known], [(one.low + one.high) / 2 for one in known]
        )
        predicted = model.predict([one.places for one in new])
        pairs = zip(predicted, new, strict=True)
        regressed += sum(one.low < place < one.high for place, one in pairs)
        total += len(new)
    return strangers / total, regressed / total


def check(run: Callable[..., list[Any]]) -> tuple[Table, dict[str, Any]]:
    jobs = [Job(task, part) for task in TASK_NAMES for part in range(PARTS)]
    parts = run("strangers", look, jobs)
    title = f"Success % of rules that scenes were not chosen against, {SCENES} scenes"
    table = Table("task", f"best of {STRANGERS} by chance", "regression", "mean width", title=title)
    strangers, regressions = [], []
    for number, task in enumerate(TASK_NAMES):
        seen = [one for part in parts[number * PARTS : (number + 1) * PARTS] for one in part]
        shares = best_strangers(seen)
        strangers.append(shares[0])
        regressions.append(shares[1])
        width = np.mean([one.high - one.low for one in seen])
        table.add_row(task, *(f"{100 * share:.1f}" for share in shares), f"{width:.2f}")
    return table, {
        "best_stranger_share": round(max(strangers), 3),
        "best_regression_share": round(max(regressions), 3),
    }


def _weights(rng: np.random.Generator, landmarks: int) -> Floats:
    """Draw the weights of two to four landmarks; they sum to 1, and some may be below 0."""
    chosen = rng.choice(landmarks, size=int(rng.integers(2, 5)), replace=False)
    drawn = rng.dirichlet(np.ones(len(chosen))) * 2 - 1 / len(chosen)
    weights = np.zeros(landmarks)
    weights[chosen] = drawn
    return weights


def _right(
    weights: Floats, towards: NDArray[np.int64], steps: Floats, scenes: list[Seen]
) -> NDArray[np.bool_]:
    """Return where each stranger is right: strangers x scenes."""
    landmarks = np.array([one.landmarks for one in scenes])
    places = weights @ landmarks.T + steps[:, None] * np.sign(landmarks[:, towards].T)
    low, high = (np.array([getattr(one, end) for one in scenes]) for end in ("low", "high"))
    right: NDArray[np.bool_] = (low < places) & (places < high)
    return right
