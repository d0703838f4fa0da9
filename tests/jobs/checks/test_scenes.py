import pytest

from jobs.checks.scenes import check_scenes
from physrl.config.environment import EnvironmentConfig
from physrl.errors import SceneError
from physrl.tasks import placing


def test_a_margin_that_admits_no_scene() -> None:
    impossible = EnvironmentConfig(margin=(0.3, 0.4), num_blocks=(3, 6))
    with pytest.raises(SceneError, match=r"environment\.margin"):
        check_scenes(["stability"], impossible, seed=0)


def test_towers_that_carry_no_other_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placing, "best_shift", lambda stack, index: (0.0, 0.0))
    monkeypatch.setattr(placing, "BATCHES", (64,))
    with pytest.raises(SceneError, match=r"environment\.margin"):
        check_scenes(["place"], EnvironmentConfig(), seed=0)
