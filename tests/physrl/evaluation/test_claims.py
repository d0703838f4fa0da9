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

SCENES = 400
OVERRIDES = (
    "grid.tasks=[place, stability]",
    "grid.methods={grpo: {}, sft: {}}",
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
        if is_trained_task(cell):
            return 0.9
        return 0.3 if cell.subject.variant == "rank64" else 0.5

    claims = judge_made_up_study(tmp_path, rate, adapted=0.6, probed=0.9)
    verdicts = {name: claim.verdict for name, claim in claims.items()}
    assert verdicts == {
        "trained_task": "supported",
        "other_tasks": "supported",
        "equal_methods": "supported",
        "adaptation": "supported",
        "decodability": "supported",
        "photographs": "too little data",
        "training_length": "too little data",
        # The highest rank also differs in its scenes, and is not compared.
        "lora_rank": "supported",
    }
    gain = claims["trained_task"].estimate
    assert gain is not None
    assert gain.value == pytest.approx(0.4)
    # (.1 + .6) / 2 - (.1 + .3) / 2
    faster = claims["adaptation"].estimate
    assert faster is not None
    assert faster.value == pytest.approx(0.15)
    unused = claims["decodability"].estimate
    assert unused is not None
    assert unused.value == pytest.approx(0.4)


def test_opposite_results_contradict_the_claims(tmp_path: Path) -> None:
    def rate(cell: CellSpec) -> float:
        if cell.subject.kind == "base":
            return 0.6
        if is_trained_task(cell):
            return 0.5
        return 0.95 if cell.subject.variant == "rank64" or cell.subject.method == "grpo" else 0.7

    verdicts = {
        name: claim.verdict
        for name, claim in judge_made_up_study(tmp_path, rate, adapted=0.1).items()
    }
    assert verdicts["trained_task"] == "contradicted"
    assert verdicts["other_tasks"] == "contradicted"
    assert verdicts["equal_methods"] == "contradicted"
    assert verdicts["adaptation"] == "contradicted"
    assert verdicts["decodability"] == "contradicted"
    assert verdicts["lora_rank"] == "contradicted"


def test_a_claim_without_its_cells_has_too_little_data(tmp_path: Path) -> None:
    claims = judge_made_up_study(tmp_path, lambda cell: 0.9 if is_trained_task(cell) else None)
    gain = claims["trained_task"]
    assert (gain.estimate, gain.verdict) == (None, "too little data")
