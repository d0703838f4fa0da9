"""The reliability diagram, of simulated verdicts with made-up beliefs."""

from dataclasses import replace

import numpy as np
import pytest

from physrl.evaluation.psychophysics import Reliability
from physrl.evaluation.study_results import StudyResults
from physrl.report.reliability_figure import _points, reliability_figure
from tests.support.simulated_study import plan_simulated, simulate_study
from tests.support.simulated_world import Size, World


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> StudyResults:
    plan = plan_simulated(Size(3, 8, 60), tmp_path_factory.mktemp("photographs"))
    return simulate_study(plan, World(), np.random.default_rng(0))


def with_beliefs(results: StudyResults, belief: float) -> StudyResults:
    cells = {
        key: replace(
            cell,
            answers=tuple(
                replace(answer, probability_yes=belief, probability_no=1 - belief)
                for answer in cell.answers
            ),
        )
        for key, cell in results.cells.items()
    }
    return replace(results, cells=cells)


def test_families_that_were_asked_have_a_line(results: StudyResults) -> None:
    believed = with_beliefs(results, 0.75)
    figure = reliability_figure(believed)
    assert figure is not None
    assert "tiny place grpo" in figure
    assert "tiny (base)" in figure
    (family,) = [f for f in believed.main_families if f.name == "tiny stability grpo"]
    # 3 seeds x 8 scenes, of which every other one falls.
    assert _points(believed, family) == (Reliability(0.75, 0.5, 24),)


def test_without_probabilities_there_is_no_figure(results: StudyResults) -> None:
    assert reliability_figure(results) is None
