"""The figure of interventions, of made-up effects."""

from dataclasses import replace

import numpy as np
import pytest

from physrl.evaluation.probe_results import CauseScore, Measure, Role
from physrl.evaluation.study_results import StudyResults
from physrl.report.cause_figure import TITLES, cause_figure
from tests.support.simulated_study import plan_simulated, simulate_study
from tests.support.simulated_world import Size, World

ROLES: tuple[Role, ...] = ("effect", "control")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> StudyResults:
    plan = plan_simulated(Size(3, 8, 60), tmp_path_factory.mktemp("photographs"))
    return simulate_study(plan, World(), np.random.default_rng(0))


def with_causes(results: StudyResults) -> StudyResults:
    """Add effects that rise from layer to layer, and answers that never differ."""
    causes = tuple(
        CauseScore(measure, role, f"language.{depth}", depth, (0.5 * depth,) * 4, gaps(measure))
        for depth in range(3)
        for measure in TITLES
        for role in ROLES
    )
    probes = {key: replace(probe, causes=causes) for key, probe in results.probes.items()}
    return replace(results, probes=probes)


def gaps(measure: Measure) -> tuple[float, ...]:
    return (0.0 if measure == "flips" else 1.0,) * 4


def test_effects_are_drawn_by_family_and_layer_with_their_controls(results: StudyResults) -> None:
    figure = cause_figure(with_causes(results), "stability")
    assert figure is not None
    for text in (*TITLES.values(), "random directions", "tiny place grpo", "tiny (base)", "l2"):
        assert text in figure
    assert cause_figure(with_causes(results), "place") is None


def test_without_interventions_there_is_no_figure(results: StudyResults) -> None:
    assert cause_figure(results, "stability") is None
