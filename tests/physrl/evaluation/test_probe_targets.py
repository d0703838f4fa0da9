import pytest

from physrl.config.environment import EnvironmentConfig
from physrl.evaluation.probe_targets import target_values
from physrl.scene_source import SceneSource, draw_scene
from physrl.tasks import TASKS
from physrl.types import Offset


def test_targets_are_quantities_of_the_scene() -> None:
    source = SceneSource("place", EnvironmentConfig(), 0, "test", reasoning=False)
    scenes = [draw_scene(source, index) for index in range(4)]
    names = ("margin", "stability", "offset_x", "offset_y", "height", "blocks")
    found = target_values(scenes, names)
    assert "stability" not in found  # every tower stands
    assert found["blocks"].tolist() == [len(scene.blocks) for scene in scenes]
    assert found["height"] == pytest.approx(
        [sum(block.size for block in scene.tower) for scene in scenes]
    )
    ideal = TASKS["place"].ideal(scenes[0])
    assert isinstance(ideal, Offset)
    assert (found["offset_x"][0], found["offset_y"][0]) == (ideal.x, ideal.y)
    assert found["margin"][0] == scenes[0].margin
