import numpy as np
import pytest

from physrl.evaluation.estimate import Estimate
from physrl.report.psychophysics_table import psychophysics_rows
from tests.support.simulated_study import plan_simulated, simulate_study
from tests.support.simulated_world import Size, World


def test_trained_models_are_more_sensitive_than_the_base(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    plan = plan_simulated(Size(3, 64, 60), tmp_path_factory.mktemp("photographs"))
    results = simulate_study(plan, World(), np.random.default_rng(0))
    rows = {row.family.name: row for row in psychophysics_rows(results)}
    trained, base = rows["tiny stability grpo"], rows["tiny (base)"]
    assert isinstance(trained.sensitivity, Estimate)
    assert isinstance(base.sensitivity, float)
    # Success 85 % on balanced towers: 2 z(.85) = 2.07; the base guesses.
    assert trained.sensitivity.value == pytest.approx(2.07, abs=0.5)
    assert base.sensitivity == pytest.approx(0, abs=0.7)
    assert base.consistency is None
