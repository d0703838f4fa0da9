"""Rules that see one thing, on the tasks in which alignment fails, and readers of `judge`.

    python tests/benchmarks/families.py

Prints a table for each task, the agreement of PyBullet with the exact criterion on planks, and,
last, a JSON line. Takes some minutes.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from env_checks.shortcuts import CLASSIFIERS, features
from rich.console import Console
from rich.table import Table

from physrl.config.environment import EnvironmentConfig
from physrl.environments.geometry import margin
from physrl.environments.simulator import Simulator
from physrl.tasks import TASKS
from physrl.tasks.placing import carrying_block
from physrl.tasks.task import make_scene
from physrl.types import Block, Offset, SceneSpec

SCENES, BUILT, PAIRS, TRAINED_ON = 300, 64, 1600, 800
TRIED = 3
"""Answers of each scene on which the simulator is compared with the criterion."""
CLEAR = 0.02
"""Smallest margin at which it is."""
SETTINGS = EnvironmentConfig()
CONSTANTS = np.arange(-4, 4.05, 0.1).tolist()
Rule = Callable[[SceneSpec], float]
"""A function from a scene to the answered x."""


def red_of(scene: SceneSpec) -> Block:
    return next(block for block in scene.blocks if block.color == "red")


def parts(scene: SceneSpec) -> tuple[Block, list[Block]]:
    """Return the block that carries the red one or lies on it, and the blocks on a plank."""
    plank = carrying_block([block for block in scene.blocks if block.color != "red"])
    others = [block for block in scene.blocks if block.color != "red" and block.y > plank.y]
    return plank, others or [scene.blocks[0]]


def place(middle: Callable[[Block, list[Block], SceneSpec], float]) -> Rule:
    """Return the rule that answers with a place."""
    return lambda scene: middle(*parts(scene), scene) - red_of(scene).x


def side(scene: SceneSpec) -> float:
    """Return the side of the ideal answer."""
    return float(np.sign(TASKS[scene.task].ideal(scene).x))  # type: ignore[union-attr]


def largest(others: list[Block]) -> Block:
    return max(others, key=lambda block: block.size)


def middle_of_all(scene: SceneSpec) -> float:
    ends = [
        block.x + sign * block.edges[0] / 2
        for block in scene.blocks
        if block.color != "red"
        for sign in (-1, 1)
    ]
    return (min(ends) + max(ends)) / 2


def pivot(plank: Block, scene: SceneSpec) -> float:
    """Return the place of the post under the plank, or else the plank's middle."""
    posts = [block.x for block in scene.blocks if block.color != "red" and block.y < plank.y]
    return posts[0] if posts else plank.x


def side_of_ideal(plank: Block, scene: SceneSpec) -> float:
    """Return 1 if the ideal place is to the right of the pivot, else -1."""
    ideal = TASKS[scene.task].ideal(scene)
    assert isinstance(ideal, Offset)
    return float(np.sign(red_of(scene).x + ideal.x - pivot(plank, scene)))


def towards_end(plank: Block, scene: SceneSpec, share: float) -> float:
    """Return the place a share of the way from the pivot to the plank's end on the ideal's side."""
    start = pivot(plank, scene)
    end = plank.x + side_of_ideal(plank, scene) * plank.edges[0] / 2
    return start + share * (end - start)


RULES: dict[str, list[Rule]] = {
    "one constant": [lambda scene, c=c: c for c in CONSTANTS],  # type: ignore[misc]
    "side seen, size constant": [lambda scene, c=c: side(scene) * c for c in CONSTANTS],  # type: ignore[misc]
    "aligner": [place(lambda plank, others, scene: plank.x)],
    "midway to it": [lambda scene: (parts(scene)[0].x - red_of(scene).x) / 2],
    "middle of all": [place(lambda plank, others, scene: middle_of_all(scene))],
    "over (under) the largest other": [place(lambda plank, others, scene: largest(others).x)],
    "mean of the others": [
        place(lambda plank, others, scene: float(np.mean([block.x for block in others])))
    ],
    "midway from plank to largest": [
        place(lambda plank, others, scene: (plank.x + largest(others).x) / 2)
    ],
    "some way from plank to largest": [
        place(lambda plank, others, scene, s=s: plank.x + s * (largest(others).x - plank.x))  # type: ignore[misc]
        for s in np.arange(0.125, 1, 0.125).tolist()
    ],
    "side of the pivot known, distance constant": [
        place(  # type: ignore[misc]
            lambda plank, others, scene, c=c: pivot(plank, scene) + c * side_of_ideal(plank, scene)
        )
        for c in np.arange(0.1, 2.5, 0.05).tolist()
    ],
    "side known, some way to the plank's end": [
        place(lambda plank, others, scene, s=s: towards_end(plank, scene, s))  # type: ignore[misc]
        for s in np.arange(0.05, 1, 0.05).tolist()
    ],
    "over the lowest block": [place(lambda plank, others, scene: scene.blocks[0].x)],
    "mirror of the largest": [
        place(lambda plank, others, scene: 2 * scene.blocks[0].x - largest(others).x)
    ],
}


def stands(scene: SceneSpec, x: float) -> bool:
    """Return whether an answer succeeds on a plank by the exact criterion."""
    release = TASKS[scene.task].release(scene, Offset(round(x, 2), 0.0))
    return release is not None and release.drop < CLEAR and margin(release.upright) > 0


def builds(simulator: Simulator, rule: Rule, scene: SceneSpec) -> bool:
    """Return whether a rule's three moves build the tower."""
    task = TASKS["build"]
    for _ in range(task.attempts):
        outcome = task.act(scene, Offset(round(rule(scene), 2), 0.0), simulator)
        scene = task.advance(scene, outcome)
    return outcome.success


def rates(task: str, simulator: Simulator) -> dict[str, float]:
    """Compute the successes of each rule in %, with the best of its constants."""
    count = BUILT if task == "build" else SCENES
    scenes = [make_scene(TASKS[task], SETTINGS, 0, "test", index) for index in range(count)]

    def rate(rule: Rule) -> float:
        if task != "build":
            return 100 * float(np.mean([stands(scene, rule(scene)) for scene in scenes]))
        return 100 * float(np.mean([builds(simulator, rule, scene) for scene in scenes]))

    stride = 10 if task == "build" else 1  # simulations take long
    found = {name: max(map(rate, rules[::stride])) for name, rules in RULES.items()}
    return {"physics": rate(lambda scene: TASKS[task].ideal(scene).x)} | found  # type: ignore[union-attr]


def disagreements(simulator: Simulator) -> tuple[int, int]:
    """Count answers, near and at the ideal ones, on which simulator and criterion disagree."""
    rng, compared, wrong = np.random.default_rng(0), 0, 0
    for task in ("counterweight", "bridge"):
        for blocks in ((2, 4), (5, 6)):
            settings = EnvironmentConfig(num_blocks=blocks, sizes="mixed", yaw=0.8)
            for index in range(SCENES):
                scene = make_scene(TASKS[task], settings, 1, "test", index)
                ideal = TASKS[task].ideal(scene)
                assert isinstance(ideal, Offset)
                for error in (0.0, *rng.uniform(-0.8, 0.8, TRIED)):
                    action = Offset(round(ideal.x + error, 2), 0.0)
                    release = TASKS[task].release(scene, action)
                    if release is None or release.drop > 0:
                        continue
                    exact = margin(release.upright)
                    if abs(exact) >= CLEAR:
                        compared += 1
                        outcome = TASKS[task].act(scene, action, simulator)
                        wrong += outcome.success != (exact > 0)
    return compared, wrong


def readers() -> dict[str, float]:
    """Compute the accuracy in % of classifiers on features of `judge` that are not physics."""
    rows, falls = [], []
    for index in range(2 * PAIRS):
        scene = make_scene(TASKS["judge"], SETTINGS, 0, "train", index)
        assert scene.outline is not None
        rows.append(features(replace(scene, blocks=(*scene.tower, scene.outline))))
        falls.append(scene.margin < 0)
    inputs, labels, border = np.array(rows), np.array(falls), 2 * TRAINED_ON
    scores = {}
    for name, make in CLASSIFIERS.items():
        model = make().fit(inputs[:border], labels[:border])
        scores[name] = 100 * float((model.predict(inputs[border:]) == labels[border:]).mean())
    return scores


def main() -> None:
    console, simulator = Console(width=100), Simulator()
    found = {task: rates(task, simulator) for task in ("counterweight", "bridge", "build")}
    table = Table("rule", *found, title="successes in %, the best of each rule's constants")
    for name in ("physics", *RULES):
        table.add_row(name, *(f"{column[name]:.0f}" for column in found.values()))
    console.print(table)
    compared, wrong = disagreements(simulator)
    scores = readers()
    print(json.dumps({"compared": compared, "wrong": wrong, "judge_readers": scores} | found))
    if wrong:
        sys.exit(f"PyBullet and the criterion disagree on {wrong} of {compared} answers")


if __name__ == "__main__":
    main()
