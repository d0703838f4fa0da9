from dataclasses import replace

import numpy as np
import pytest

from physrl.config.environment import EnvironmentConfig
from physrl.environments.geometry import margin, overlaps
from physrl.environments.renderer import TinyRenderer
from physrl.environments.simulator import Simulator
from physrl.tasks import TASKS
from physrl.tasks.task import make_scene, scene_image
from physrl.types import Offset, Outcome, Verdict

JUDGE = TASKS["judge"]
MIXED = EnvironmentConfig(num_blocks=(2, 5), sizes="mixed")


def test_of_each_pair_one_falls_as_simulated(simulator: Simulator) -> None:
    scenes = [make_scene(JUDGE, MIXED, 0, "test", index) for index in range(40)]
    for one, other in zip(scenes[::2], scenes[1::2], strict=True):
        assert one.margin == pytest.approx(-other.margin)
        assert len(one.blocks) == len(other.blocks) >= 3
    for scene in scenes:
        ideal = JUDGE.ideal(scene)
        assert JUDGE.act(scene, ideal, simulator).success
        assert isinstance(ideal, Verdict)
        wrong = JUDGE.act(scene, Verdict(not ideal.falls), simulator)
        assert (wrong.status, wrong.success) == ("settled", False)


def test_the_outline_is_the_place_of_the_red_block() -> None:
    for index in range(20):
        scene = make_scene(JUDGE, MIXED, 0, "test", index)
        red, top, place = scene.blocks[-1], scene.tower[-1], scene.outline
        assert place is not None
        assert (red.color, red.size) == ("red", place.size)
        assert abs(place.y - top.y - (place.size + top.size) / 2) < 1e-9
        assert scene.margin == margin((*scene.tower, place))
        assert not any(overlaps(red, block, 0.0) for block in scene.tower)
        release = JUDGE.release(scene, Verdict(True))
        assert release is not None
        assert release.blocks == (*scene.tower, replace(place, color="red"))


def test_the_image_shows_the_outline_and_the_outcome_does_not(
    renderer: TinyRenderer, simulator: Simulator
) -> None:
    scene = make_scene(JUDGE, EnvironmentConfig(), 0, "test", 0)
    shown = scene_image(scene, renderer, 84)
    bare = scene_image(replace(scene, outline=None), renderer, 84)
    added = shown.astype(int) - bare
    lines = np.abs(added).sum(axis=2) > 0
    assert 0.005 < lines.mean() < 0.05
    assert (added[lines] @ [2, -1, -1] > 0).all()  # all of them are redder


def test_no_verdict_no_outcome(simulator: Simulator) -> None:
    scene = make_scene(JUDGE, EnvironmentConfig(), 0, "test", 0)
    outcome = JUDGE.act(scene, Offset(1.0, 1.0), simulator)
    assert outcome == Outcome("unparseable", success=False)
