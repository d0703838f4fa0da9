"""References and gates of simulated studies."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from physrl.evaluation.evidence import Evidence
from physrl.evaluation.specs import Condition
from physrl.evaluation.study_results import StudyResults
from tests.support.simulated_study import plan_simulated, simulate_study
from tests.support.simulated_world import Size, World


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> StudyResults:
    folder: Path = tmp_path_factory.mktemp("photographs")
    world = World(parsed={"place>place_x": 0.5}, learned={"place_x": 0.15})
    return simulate_study(plan_simulated(Size(3, 64, 60), folder), world, np.random.default_rng(0))


def test_an_effect_is_over_every_reference(results: StudyResults) -> None:
    evidence = Evidence(results)
    (family,) = [f for f in evidence.main_families if f.trained_on == ("stability",)]
    own = [name for name, _ in evidence.gains((family, Condition("stability")))]
    rules = [subject.name for subject in results.plan.subjects if subject.kind == "rule"]
    verdicts = ["always Yes", "always No"]
    assert own[:4] == ["base", "sft_shuffled", "blank images", "guesser"]
    assert set(own[4:-2]) <= set(rules)
    assert own[-2:] == verdicts
    photographs = [name for name, _ in evidence.gains((family, evidence.photographs))]
    assert photographs == ["base", "sft_shuffled", "guesser", *verdicts]


def test_a_planned_reference_without_results_leaves_a_case_open(results: StudyResults) -> None:
    shuffled = {s.key for s in results.plan.subjects if s.method == "sft_shuffled"}
    lost = {cell.key for cell in results.plan.cells if cell.subject.key in shuffled}
    cells = {key: cell for key, cell in results.cells.items() if key not in lost}
    evidence = Evidence(replace(results, cells=cells))
    family = evidence.main_families[0]
    assert evidence.gains((family, Condition(family.trained_on[0]))) == ()


def test_gates_close_on_form_and_on_what_was_not_learned(results: StudyResults) -> None:
    evidence = Evidence(results)
    families = {family.trained_on[0]: family for family in evidence.main_families}
    assert evidence.form((families["place"], Condition("place_x"))).state == "closed"
    assert evidence.form((families["place"], Condition("stability"))).state == "open"
    assert evidence.learned(families["place"]).state == "open"
    assert evidence.learned(families["place_x"]).state == "closed"
