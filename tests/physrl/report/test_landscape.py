import numpy as np
import pytest

from physrl.config.environment import EnvironmentConfig
from physrl.config.reward import PaperRewardConfig, SimulatedRewardConfig
from physrl.environments.simulator import Simulator
from physrl.report import landscape
from physrl.report.landscape import draw_landscape, survey
from physrl.tasks import TASKS
from physrl.tasks.task import make_scene
from physrl.types import Offset

PICTURE = np.zeros((8, 8, 3), np.uint8)


@pytest.mark.parametrize("name", ["stabilize", "place_y", "place"])
def test_the_ideal_is_a_summit(
    name: str, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landscape, "POINTS", {1: 0.1, 2: 0.4})
    scene = make_scene(TASKS[name], EnvironmentConfig(), 0, "test", 0)
    found = survey(scene, SimulatedRewardConfig(), simulator)
    assert found.rewards.shape == (len(found.ys), len(found.xs))
    assert isinstance(found.ideal, Offset)
    at = (
        np.flatnonzero(found.ys == found.ideal.y).item(),
        np.flatnonzero(found.xs == found.ideal.x).item(),
    )
    assert found.rewards[at] >= found.rewards.max() - 2e-3
    assert found.rewards.max() - found.rewards.min() > 1
    figure = draw_landscape(scene, PICTURE, found)
    assert len(figure.axes) == (3 if name == "place" else 2)  # a map has a scale


def test_rewards_are_those_of_the_answers(simulator: Simulator) -> None:
    scene = make_scene(TASKS["place_x"], EnvironmentConfig(), 0, "test", 0)
    found = survey(scene, PaperRewardConfig(), simulator)
    away = np.abs(found.xs - found.ideal.x)
    assert found.rewards[0, away < 0.4] == pytest.approx(10 - away[away < 0.4])
    assert (away > 1.05).any()
    assert (found.rewards[0, away > 1.05] < 5).all()
    assert found.ys.tolist() == [0.0]
