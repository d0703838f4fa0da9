from physrl.config.environment import EnvironmentConfig
from physrl.environments.simulator import Simulator
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
