import numpy as np
import pytest

from physrl.config.environment import EnvironmentConfig
from physrl.config.reward import PaperRewardConfig, SimulatedRewardConfig
from physrl.environments.simulator import Simulator
from physrl.report import landscape
from physrl.report.landscape import compute_landscape, draw_landscape
from physrl.tasks import TASKS
from physrl.tasks.task import make_scene
from physrl.types import Offset

IMAGE = np.zeros((8, 8, 3), np.uint8)


@pytest.mark.parametrize("name", ["stabilize", "place_y", "place"])
def test_the_ideal_answer_has_the_highest_reward(
    name: str, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landscape, "SPACING", {1: 0.1, 2: 0.4})
    scene = make_scene(TASKS[name], EnvironmentConfig(), 0, "test", 0)
    surface = compute_landscape(scene, SimulatedRewardConfig(), simulator)
    assert surface.rewards.shape == (len(surface.ys), len(surface.xs))
    assert isinstance(surface.ideal, Offset)
    index = (
        np.flatnonzero(surface.ys == surface.ideal.y).item(),
        np.flatnonzero(surface.xs == surface.ideal.x).item(),
    )
    assert surface.rewards[index] >= surface.rewards.max() - 2e-3
    assert surface.rewards.max() - surface.rewards.min() > 1
    figure = draw_landscape(scene, IMAGE, surface)
    assert len(figure.axes) == (3 if name == "place" else 2)  # a map has a color bar


def test_rewards_are_those_of_the_answers(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landscape, "SPACING", {1: 0.1})
    scene = make_scene(TASKS["place_x"], EnvironmentConfig(), 0, "test", 0)
    surface = compute_landscape(scene, PaperRewardConfig(), simulator)
    distance = np.abs(surface.xs - surface.ideal.x)
    assert surface.rewards[0, distance < 0.05] == pytest.approx(10 - distance[distance < 0.05])
    assert (distance > 1.05).any()
    assert (surface.rewards[0, distance > 1.05] < 5).all()
    assert surface.ys.tolist() == [0.0]
