"""Verdicts on small made-up studies, each with one thing that is so."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from physrl.config.study import load_study_config
from physrl.evaluation.adaptation import AdaptationCurve
from physrl.evaluation.cells import CellResult, open_cell_store
from physrl.evaluation.claims import Claim, judge_claims
from physrl.evaluation.findings import read_findings
from physrl.evaluation.plan import plan_study
from physrl.evaluation.probes import ProbeResult, ProbeScore
from physrl.evaluation.results import Answered
from physrl.evaluation.specs import CellSpec

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


def judged(
    folder: Path,
    rate: Callable[[CellSpec], float | None],
    *,
    adapted: float = 0.5,
    read: float = 0.5,
) -> dict[str, Claim]:
    """A study whose cells succeed at a rate, the same scenes first; None leaves a cell out.

    The base adapts to .3, others to `adapted`; `read` is what a probe of any model reads, .5 that
    of pixels and of an untrained network.
    """
    plan, store = plan_study(load_study_config(None, OVERRIDES)), open_cell_store(str(folder))
    rng = np.random.default_rng(0)
    order = rng.permutation(SCENES)
    for cell in plan.cells:
        share = rate(cell)
        if share is not None:
            successes = order < share * SCENES
            store.write_cell(CellResult(cell.key, tuple(map(answer, range(SCENES), successes))))
    for spec in plan.adaptations:
        after = 0.3 if spec.subject.kind == "base" else adapted
        rows = tuple(tuple(n < share * 200 for n in range(200)) for share in (0.1, after))
        store.write_adaptation(AdaptationCurve(spec.key, spec.steps, 8, rows))
    for probe in plan.probes:
        levels = {"model": read, "pixels": 0.5, "untrained": 0.5}
        scores = [
            ProbeScore("stability", source, "x", 0, tuple(level + d for d in (-0.01, 0, 0.01)))  # type: ignore[arg-type]
            for source, level in levels.items()
        ]
        store.write_probe(ProbeResult(probe.key, tuple(scores)))
    return {claim.statement: claim for claim in judge_claims(read_findings(plan, store))}


def answer(index: int, success: bool) -> Answered:
    return Answered(f"s/{index}", "", "", "", bool(success), "settled", 0, None, None, None, None)


def trained_here(cell: CellSpec) -> bool:
    return cell.condition.task in cell.subject.trained_on


def test_what_the_paper_found_is_supported(tmp_path: Path) -> None:
    def rate(cell: CellSpec) -> float:
        if trained_here(cell):
            return 0.9
        return 0.3 if cell.subject.variant == "rank64" else 0.5

    found = judged(tmp_path, rate, adapted=0.6, read=0.9)
    verdicts = {statement: claim.verdict for statement, claim in found.items()}
    assert verdicts == {
        "Training improves the trained task": "supported",
        "Nothing transfers to other tasks": "supported",
        "Reinforcement and SFT transfer alike": "supported",
        "Trained models adapt faster to other tasks": "supported",
        "Stability can be read off models that do not answer by it": "supported",
        "Nothing transfers to photographs": "too little data",
        "Longer training hurts other tasks": "too little data",
        # The widest differs in its scenes as well, and is not compared.
        "A higher rank hurts other tasks": "supported",
    }
    gain = found["Training improves the trained task"].figure
    assert gain is not None
    assert gain.value == pytest.approx(0.4)
    # (.1 + .6) / 2 - (.1 + .3) / 2
    faster = found["Trained models adapt faster to other tasks"].figure
    assert faster is not None
    assert faster.value == pytest.approx(0.15)
    unused = found["Stability can be read off models that do not answer by it"].figure
    assert unused is not None
    assert unused.value == pytest.approx(0.4)


def test_the_opposite_is_contradicted(tmp_path: Path) -> None:
    def rate(cell: CellSpec) -> float:
        if cell.subject.kind == "base":
            return 0.6
        if trained_here(cell):
            return 0.5
        return 0.95 if cell.subject.variant == "rank64" or cell.subject.method == "grpo" else 0.7

    verdicts = {s: claim.verdict for s, claim in judged(tmp_path, rate, adapted=0.1).items()}
    assert verdicts["Training improves the trained task"] == "contradicted"
    assert verdicts["Nothing transfers to other tasks"] == "contradicted"
    assert verdicts["Reinforcement and SFT transfer alike"] == "contradicted"
    assert verdicts["Trained models adapt faster to other tasks"] == "contradicted"
    assert verdicts["Stability can be read off models that do not answer by it"] == "contradicted"
    assert verdicts["A higher rank hurts other tasks"] == "contradicted"


def test_without_its_cells_a_claim_has_too_little_data(tmp_path: Path) -> None:
    found = judged(tmp_path, lambda cell: 0.9 if trained_here(cell) else None)
    gain = found["Training improves the trained task"]
    assert (gain.figure, gain.verdict) == (None, "too little data")
