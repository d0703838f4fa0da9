"""Readers without physics guess; the whole measurement is `make check-env`."""

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from tests.benchmarks.env_checks.readers import FEATURES, Job, Scenes, draw

TRAINED_ON, TESTED_ON = 400, 400


@pytest.fixture(scope="module")
def scenes() -> Scenes:
    return draw(Job(num_blocks=4, indices=range(TRAINED_ON + TESTED_ON)))


def accuracy(scenes: Scenes, name: str) -> float:
    model = HistGradientBoostingClassifier(max_iter=50, random_state=0)
    model.fit(scenes[name][:TRAINED_ON], scenes["falls"][:TRAINED_ON])
    predicted = model.predict(scenes[name][TRAINED_ON:])
    return float((predicted == scenes["falls"][TRAINED_ON:]).mean())


@pytest.mark.parametrize("name", [n for n in FEATURES if n not in ("physics", "pixels")])
def test_readers_without_physics_guess(scenes: Scenes, name: str) -> None:
    # A guesser's accuracy has a standard deviation of 0.5 / sqrt(400) = 0.025; three of them.
    assert accuracy(scenes, name) < 0.5 + 3 * 0.5 / TESTED_ON**0.5


def test_a_reader_of_physics_knows(scenes: Scenes) -> None:
    assert accuracy(scenes, "physics") > 0.98


@pytest.mark.parametrize("name", ["unordered geometry", "places in order"])
def test_twins_have_the_same_geometry_but_for_who_is_turned_how(scenes: Scenes, name: str) -> None:
    # The base of a tower lies anywhere, which rounds offsets differently.
    assert np.allclose(scenes[name][::2], scenes[name][1::2], atol=1e-5)
