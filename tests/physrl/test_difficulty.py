"""Predicted success: hand-computed, learned from simulated truth, and forgotten again."""

import json

import numpy as np
import pytest

from physrl.config.environment import EnvironmentConfig
from physrl.difficulty import SCALES, add_group, predict_success, scene_facts, start_sums
from physrl.tasks import TASKS
from physrl.tasks.task import make_scene
from physrl.types import Offset

ZERO = np.zeros(len(SCALES))


def test_one_half_is_predicted_before_the_first_group() -> None:
    facts = np.random.default_rng(0).normal(size=(3, 2, len(SCALES)))
    assert predict_success(start_sums(), facts).tolist() == [[0.5, 0.5]] * 3


def test_one_group_moves_the_constant_alone() -> None:
    """Log-odds log(8.5 / 0.5) of a row (0, ..., 0, 1) under a ridge of 1: half of them."""
    sums = add_group(start_sums(), ZERO, 8, 8)
    assert predict_success(sums, ZERO[None])[0] == pytest.approx(17**0.5 / (1 + 17**0.5))


def test_a_true_dependence_is_learned_and_a_change_is_noticed() -> None:
    rng = np.random.default_rng(0)
    sums = start_sums()
    for sign in (-1, 1):
        for _ in range(150):
            facts = rng.normal(size=len(SCALES)) * np.array(list(SCALES.values()))
            truth = 1 / (1 + np.exp(-2 * sign * facts[0]))
            sums = add_group(sums, facts, int(rng.binomial(8, truth)), 8)
        sums = json.loads(json.dumps(sums))
        easy, hard = ZERO.copy(), ZERO.copy()
        easy[0], hard[0] = sign, -sign
        predicted = predict_success(sums, np.array([easy, ZERO, hard]))
        assert predicted == pytest.approx([0.88, 0.5, 0.12], abs=0.1)


@pytest.mark.parametrize("name", TASKS)
def test_facts_are_those_of_the_scene(name: str) -> None:
    task = TASKS[name]
    for index in range(6):
        scene = make_scene(task, EnvironmentConfig(), 0, "train", index)
        facts = dict(zip(SCALES, scene_facts(scene).tolist(), strict=True))
        assert facts["blocks"] == len(scene.blocks)
        assert facts["margin"] == abs(scene.margin)
        ideal = task.ideal(scene)
        if isinstance(ideal, Offset):
            assert (facts["right"], facts["upwards"]) == (ideal.x, abs(ideal.y))
        assert all(map(np.isfinite, facts.values()))
