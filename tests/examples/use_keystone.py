"""Uses the example package as an installed distribution, and prints what it saw as JSON.

Run by test_example_package.py in a process of its own: in others the package is not installed.
"""

import json
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from typer.testing import CliRunner

import physrl.gym_env  # noqa: F401 - registers the environments
from jobs.checks.run import check
from jobs.cli import app
from jobs.preview import run as preview
from physrl.config.baseline import load_baseline_config
from physrl.config.environment import EnvironmentConfig
from physrl.config.load import dump_yaml, parse_config, validate
from physrl.config.study import load_study_config
from physrl.environments.simulator import Simulator
from physrl.evaluation.plan import plan_study
from physrl.loop import ReferenceLoop
from physrl.report.html import ACHIEVEMENTS
from physrl.tasks import TASKS
from physrl.tasks.task import make_scene
from tests.support.paths import TINY_BASE

RUN: dict[str, Any] = {
    "task": "keystone",
    "model": {"path": str(TINY_BASE)},
    "algorithm": {
        "type": "reinforce",
        "steps": 2,
        "prompts_per_step": 2,
        "group_size": 4,
        "lr": 1e-3,
    },
    "reward": {"type": "success_only", "success": 2.0},
    "evaluation": {"tasks": ["keystone", "place"]},
}


def configurations() -> dict[str, Any]:
    config = validate(RUN)
    baseline = load_baseline_config(None, ["task=keystone"])
    study = load_study_config(
        None,
        [
            "grid.tasks=[keystone]",
            "grid.methods={reinforce: {}}",
            "evaluation.tasks=[keystone, stability, place]",
            "baseline={iterations: 1}",
            f"base.model.path={TINY_BASE}",
            "probes=null",
            "adaptation=null",
        ],
    )
    plan = plan_study(study)
    helped = CliRunner().invoke(app, ["train", "--help"]).output
    return {
        "help": " ".join(helped.split()),
        "round_trip": parse_config(dump_yaml(config), "config.yaml") == config,
        "baseline": list(baseline.evaluation.tasks),
        "asked_of_baseline": sorted(
            {cell.condition.task for cell in plan.cells if cell.subject.kind == "baseline"}
        ),
        "trials": [trial.config.algorithm.type for trial in plan.trials],
        "achievement": ACHIEVEMENTS["keystone"],
    }


def scenes() -> dict[str, Any]:
    task, simulator = TASKS["keystone"], Simulator()
    drawn = [make_scene(task, EnvironmentConfig(), 0, "test", index) for index in range(40)]
    outcomes = [task.act(scene, task.ideal(scene), simulator) for scene in drawn]
    return {
        "agree": sum(outcome.success for outcome in outcomes),
        "targets": [task.target(scene) for scene in drawn],
    }


def episode() -> dict[str, Any]:
    env = gymnasium.make("physrl/Keystone-v0")
    image, _ = env.reset(seed=0)
    later, reward, over, _, info = env.step(1)
    env.close()
    shapes = [list(np.shape(each)) for each in (image, later)]
    return {"shapes": shapes, "over": over, "earned": reward, "success": info["success"]}


def training() -> dict[str, Any]:
    config = validate(RUN)
    check(config)
    loop = ReferenceLoop(config)
    steps = [loop.step(0), loop.step(1)]
    (group, *_) = loop.collect(2)
    parts = group.rollouts[0].reward.parts
    return {
        "loss": [metrics["loss"] for metrics in steps],
        "version": loop.generator.policy_version,
        "parts": list(parts),
    }


if __name__ == "__main__":
    sheet = Path(sys.argv[1])
    preview("keystone", validate({}), seed=0, count=2, out=sheet)
    seen = {"configurations": configurations(), "scenes": scenes(), "episode": episode()}
    print(json.dumps(seen | {"training": training()}))
