"""Verdicts on small studies with made-up results."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from physrl.config.study import load_study_config
from physrl.evaluation.adaptation import AdaptationCurve
from physrl.evaluation.cells import open_cell_store
from physrl.evaluation.claims import Claim, judge_claims
from physrl.evaluation.plan import plan_study
from physrl.evaluation.probe_results import ProbeResult, ProbeScore
from physrl.evaluation.results import CellResult
from physrl.evaluation.specs import CellSpec
from physrl.evaluation.study_results import read_study_results
from tests.support.answers import make_answer

SCENES = 240
OVERRIDES = (
    "grid.tasks=[place, stability]",
    "grid.methods={grpo: {}, sft: {}}",
    "grid.seeds=[0, 1, 2]",
    "grid.models={tiny: {model: {lora: {rank: 16}}}}",
    "grid.variants={default: {}, rank64: {overrides: {model: {lora: {rank: 64}}}}, wild: "
    "{overrides: {model: {lora: {rank: 128}}, environment: {randomization: wild}}}}",
    "evaluation.tasks=[place, stability]",
    f"evaluation.scenes={SCENES}",
    "adaptation={tasks: [place, stability], steps: [0, 4], scenes: 200}",
    "probes={tasks: [stability], targets: [stability]}",
    "controls={shuffled_labels: false, blank_images: false}",
)


def judge_made_up_study(
    folder: Path,
    rate: Callable[[CellSpec], float | None],
    *,
    adapted: float = 0.5,
    probed: float = 0.5,
) -> dict[str, Claim]:
    """Judge the claims on a study whose cells succeed at a given rate, on the same scenes first.

    Args:
        rate: success rate of a cell; None leaves it out.
        adapted: accuracy after adaptation; the base's is 0.3.
        probed: balanced accuracy of probes; that of the controls is 0.5.
    """
    plan, store = plan_study(load_study_config(None, OVERRIDES)), open_cell_store(str(folder))
    order = np.random.default_rng(0).permutation(SCENES)
    for cell in plan.cells:
        cell_rate = rate(cell)
        if cell_rate is not None:
            answers = map(make_answer, range(SCENES), order < cell_rate * SCENES)
            store.write_cell(cell.key, CellResult(cell.condition, tuple(answers)))
    for spec in plan.adaptations:
        after = 0.3 if spec.subject.kind == "base" else adapted
        rows = tuple(tuple(n < level * 200 for n in range(200)) for level in (0.1, after))
        store.write_adaptation(AdaptationCurve(spec.key, spec.steps, 8, rows))
    for probe in plan.probes:
        levels = {"model": probed, "pixels": 0.5, "untrained": 0.5}
        scores = [
            ProbeScore("stability", source, "x", 0, tuple(level + d for d in (-0.01, 0, 0.01)))  # type: ignore[arg-type]
            for source, level in levels.items()
        ]
        store.write_probe(ProbeResult(probe.key, tuple(scores)))
    return {claim.name: claim for claim in judge_claims(read_study_results(plan, store))}


def is_trained_task(cell: CellSpec) -> bool:
    return cell.condition.task in cell.subject.trained_on


def test_the_papers_results_support_its_claims(tmp_path: Path) -> None:
    def rate(cell: CellSpec) -> float:
        if cell.subject.kind in ("guesser", "physics"):
            return 0.1 if cell.subject.kind == "guesser" else 1.0
        if is_trained_task(cell):
            return 0.9
        return 0.2 if cell.subject.variant == "rank64" else 0.5

    claims = judge_made_up_study(tmp_path, rate, adapted=0.6, probed=0.9)
    assert {name: claim.verdict for name, claim in claims.items()} == {
        "trained_task": "supported",
        "beyond_rules": "supported",
        "other_tasks": "supported",
        "transfer": "contradicted",
        "forgetting": "contradicted",
        "equal_methods": "supported",
        "interaction": "not testable",
        "adaptation": "supported",
        "decodability": "supported",
        "photographs": "not testable",
        "joint_training": "not testable",
        "left_out_task": "not testable",
        "rank64_on_trained": "contradicted",
        "rank64_on_other": "supported",
        "wild_on_trained": "contradicted",
        "wild_on_other": "contradicted",
    }
    (gain, *_) = claims["trained_task"].cases
    assert gain.effect is not None
    assert (gain.name, gain.reference) == ("tiny place grpo to place", "base")
    assert gain.effect.value == pytest.approx(0.4)
    # (.1 + .6) / 2 - (.1 + .3) / 2
    faster = claims["adaptation"].cases[0].effect
    assert faster is not None
    assert faster.value == pytest.approx(0.15)
    unused = claims["decodability"].cases[0].effect
    assert unused is not None
    assert unused.value == pytest.approx(0.4)
    assert "model.lora.rank=64" in claims["rank64_on_other"].statement


def test_opposite_results_contradict_the_claims(tmp_path: Path) -> None:
    def rate(cell: CellSpec) -> float:
        if cell.subject.kind != "trained":
            return 0.5
        if is_trained_task(cell):
            return 0.9
        return 0.95 if cell.subject.method == "grpo" else 0.7

    claims = judge_made_up_study(tmp_path, rate, adapted=0.1)
    verdicts = {name: claim.verdict for name, claim in claims.items()}
    assert verdicts["other_tasks"] == "contradicted"
    assert verdicts["transfer"] == "supported"
    assert verdicts["equal_methods"] == "contradicted"
    assert verdicts["adaptation"] == "contradicted"
    assert verdicts["decodability"] == "contradicted"


def test_nothing_transfers_that_was_not_learned(tmp_path: Path) -> None:
    claims = judge_made_up_study(tmp_path, lambda cell: 0.5)
    verdicts = {name: claim.verdict for name, claim in claims.items()}
    assert verdicts["trained_task"] == "contradicted"
    for name in ("other_tasks", "transfer", "equal_methods", "adaptation"):
        assert verdicts[name] == "not testable"


def test_a_claim_without_its_cells_has_too_little_data(tmp_path: Path) -> None:
    claims = judge_made_up_study(tmp_path, lambda cell: 0.9 if is_trained_task(cell) else None)
    claim = claims["trained_task"]
    assert claim.verdict == "too little data"
    assert all(case.effect is None for case in claim.cases)
