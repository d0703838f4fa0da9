import pytest

from physrl.algorithms.schedule import learning_rate
from physrl.config.algorithm import OptimizationConfig


def test_learning_rate_warms_up_and_decays() -> None:
    config = OptimizationConfig(steps=10, warmup_fraction=0.2, lr=1.0, decay="linear")
    rates = [learning_rate(config, update) for update in range(10)]
    # Two updates of warm-up, then a line from 1 to 0 over the other eight.
    assert rates[:3] == pytest.approx([1 / 3, 2 / 3, 1.0])
    assert rates[3:] == pytest.approx([1 - k / 8 for k in range(1, 8)])
    cosine = OptimizationConfig(steps=10, warmup_fraction=0.0, lr=1.0)
    assert learning_rate(cosine, 5) == pytest.approx(0.5)
    assert learning_rate(cosine, 10) == pytest.approx(0.0)
