import numpy as np
import pytest

from physrl.config.environment import EnvironmentConfig
from physrl.environments.geometry import centers_of_mass, overlaps
from physrl.environments.planks import Planks, sample_planks

COLORS = ["blue", "green", "cyan", "orange", "purple", "yellow"]


def test_balance_by_hand() -> None:
    # Masses: plank 4 * 0.2 * 0.6 = 0.48, blocks 1 and 0.125.
    planks = Planks(
        lengths=np.array([4.0]),
        sizes=np.array([[1.0, 0.5]]),
        centers=np.array([[-1.0, 1.5]]),
        yaws=np.zeros((1, 2)),
        fits=np.array([True]),
    )
    assert planks.masses == pytest.approx([1.605])
    assert planks.balances == pytest.approx([(-1.0 + 0.1875) / 1.605])


@pytest.mark.parametrize("loads", [1, 3, 5])
def test_blocks_lie_side_by_side_on_the_plank(loads: int) -> None:
    settings = EnvironmentConfig(yaw=0.8, yaw_jitter=0.8)
    planks = sample_planks(np.random.default_rng(0), settings, 64, loads)
    (rows,) = np.nonzero(planks.fits)
    assert rows.size > 8
    for row in rows[:8].tolist():
        plank, *others = planks.place(row, 0.5, 1.0, COLORS)
        assert len(others) == loads
        for index, block in enumerate(others):
            assert block.y - block.size / 2 == pytest.approx(1.2)
            assert abs(block.x - plank.x) + block.size / 2 <= plank.edges[0] / 2
            assert not any(overlaps(block, other, 0.0) for other in others[:index])
        (balance, *_), *_ = centers_of_mass((plank, plank, *others))
        assert balance == pytest.approx(0.5 + planks.balances[row], abs=1e-9)
