import pytest

from physrl.config.environment import EnvironmentConfig
from physrl.environments.simulator import Simulator
from physrl.errors import SceneError
from physrl.tasks import TASKS
from physrl.tasks.task import make_scene
from physrl.types import Outcome, Unparseable, Verdict

STABILITY = TASKS["stability"]


def test_the_ideal_predicts_the_outcome(simulator: Simulator) -> None:
    for index in range(40):
        scene = make_scene(STABILITY, EnvironmentConfig(), 1, "test", index)
        ideal = STABILITY.ideal(scene)
        assert isinstance(ideal, Verdict)
        assert STABILITY.parse(STABILITY.target(scene)) == ideal
        right = STABILITY.act(scene, ideal, simulator)
        assert (right.status, right.success) == ("settled", True)
        if index < 5:
            assert not STABILITY.act(scene, Verdict(not ideal.falls), simulator).success


def test_no_answer_no_outcome(simulator: Simulator) -> None:
    scene = make_scene(STABILITY, EnvironmentConfig(), 1, "test", 0)
    outcome = STABILITY.act(scene, Unparseable("words"), simulator)
    assert outcome == Outcome("unparseable", success=False)


def test_towers_have_three_blocks_or_more() -> None:
    few = EnvironmentConfig(num_blocks=(2, 3))
    scenes = [make_scene(STABILITY, few, 1, "test", index) for index in range(8)]
    assert {len(scene.blocks) for scene in scenes} == {3}
    with pytest.raises(SceneError, match=r"environment\.num_blocks is \[2, 2\].*=\[2, 3\]"):
        make_scene(STABILITY, EnvironmentConfig(num_blocks=(2, 2)), 1, "test", 0)
