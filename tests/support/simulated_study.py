"""Simulated results of whole studies, in the records that claims are judged from."""

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.special import ndtri

from physrl.config.study import load_study_config
from physrl.evaluation.adaptation import AdaptationCurve
from physrl.evaluation.matrix import Entry, Matrix
from physrl.evaluation.plan import plan_study
from physrl.evaluation.probes import ProbeResult, ProbeScore
from physrl.evaluation.results import Answer, CellResult
from physrl.evaluation.specs import (
    AdaptationSpec,
    CellSpec,
    Condition,
    StudyPlan,
    Subject,
)
from physrl.evaluation.study_results import StudyResults
from tests.support.answers import make_answer, make_verdict_answer
from tests.support.interval_coverage import seed_rates
from tests.support.simulated_world import FALLING, JOINT, TASKS, Size, World

Floats = NDArray[np.float64]
FOLDS, PROBED = 5, 512


@cache
def plan_simulated(size: Size, folder: Path, form: bool = False) -> StudyPlan:
    """Plan a study of three tasks and two methods with all controls; made-up photographs.

    Args:
        form: whether it has a form warm-up, and examples of form besides.
    """
    photos = folder / f"photos-{size.photographs}"
    if not photos.exists():
        _write_photographs(photos, size.photographs)
    variants = "{default: {}, longer: {overrides: {algorithm: {steps: 900}}}}"
    methods = ", ".join(f"{method}: {{}}" for method in size.methods)
    methods += ", grpo_yoked: {algorithm: {type: grpo, lr: 1.0e-7}}" if size.yoked else ""
    overrides = [
        f"grid.tasks=[{', '.join((*TASKS, JOINT) if size.joint else TASKS)}]",
        f"grid.methods={{{methods}}}",
        "grid.models={tiny: {}}",
        f"grid.seeds={list(range(size.seeds))}",
        f"grid.variants={variants if size.variants else '{default: {}}'}",
        f"evaluation.tasks=[{', '.join(TASKS)}]",
        f"evaluation.scenes={size.scenes}",
        "evaluation.test_sets=[iid, real]",
        f"evaluation.real_images={photos}",
        f"adaptation={{tasks: [{', '.join(TASKS)}], steps: [0, 4, 8], scenes: 128}}"
        if size.adaptation
        else "adaptation=null",
        "probes={tasks: [stability], targets: [stability]}",
    ]
    if form:
        overrides += ["form_warm_up={}", "base.model.max_images=2"]
        overrides += ["evaluation.prompting=[{}, {shots: 1, examples: form}]"]
    return plan_study(load_study_config(None, overrides))


def simulate_study(plan: StudyPlan, world: World, rng: np.random.Generator) -> StudyResults:
    """Draw seeds, scenes and answers of a study of known truth."""
    difficulty: dict[tuple[str, str], Floats] = {}
    rates = _draw_seed_rates(plan, world, rng)
    cells = {}
    for number, cell in enumerate(plan.cells):
        scenes = (cell.condition.task, cell.condition.test_set)
        if scenes not in difficulty:
            difficulty[scenes] = _draw_difficulty(world, cell.settings.scenes, scenes[1], rng)
        cells[cell.key] = _draw_cell(world, cell, rates[number], difficulty[scenes], rng)
    conditions = tuple(dict.fromkeys(cell.condition for cell in plan.cells))
    entries = {(cell.subject.key, cell.condition): Entry(cell, "done") for cell in plan.cells}
    return StudyResults(
        plan=plan,
        matrix=Matrix(plan.subjects, conditions, entries),
        cells=cells,
        trained={},
        adaptations={spec.key: _draw_curve(world, spec, rng) for spec in plan.adaptations},
        probes={spec.key: _draw_probe(world, spec.key, rng) for spec in plan.probes},
        failures={},
        human=None,
    )


def _draw_seed_rates(plan: StudyPlan, world: World, rng: np.random.Generator) -> list[float]:
    rates = []
    for cell in plan.cells:
        mean = _mean_rate(world, cell.subject, cell.condition)
        deviation = world.deviation if cell.subject.kind == "trained" else 0.0
        rates.append(float(seed_rates(mean, deviation, 1, rng)[0]))
    return rates


def _mean_rate(world: World, subject: Subject, condition: Condition) -> float:
    to = condition.task
    if subject.kind == "physics":
        return 1.0
    if condition.test_set == "real":
        is_plain = subject.kind != "trained" or subject.method == "sft_shuffled"
        return world.photo_rate(subject.kind if is_plain else subject.trained_on[0])
    if subject.kind == "guesser":
        return world.guesser[to]
    if subject.kind not in ("trained", "base"):
        return world.rule_rate(to)
    if condition.images == "blank":
        return world.blank.get(to, world.guesser[to])
    if subject.kind == "base":
        return world.base[to]
    return world.trained_rate("+".join(subject.trained_on), to, subject.method, subject.variant)


def _draw_difficulty(world: World, scenes: int, test_set: str, rng: np.random.Generator) -> Floats:
    own = rng.normal(size=scenes) * world.shared**0.5
    if test_set == "real":
        return own + rng.normal(size=scenes) * world.twins**0.5
    return own + np.repeat(rng.normal(size=scenes // 2), 2) * world.twins**0.5


def _draw_cell(
    world: World, cell: CellSpec, rate: float, difficulty: Floats, rng: np.random.Generator
) -> CellResult:
    scale = (1 + world.shared + world.twins) ** 0.5
    level = difficulty + rng.normal(size=len(difficulty))
    failed = (level >= scale * ndtri(rate)).astype(int)
    trained_on = "+".join(cell.subject.trained_on)
    who = trained_on if cell.subject.kind == "trained" else cell.subject.kind
    if cell.condition.test_set != "real":
        parsed = world.parsed_share(who, cell.condition.task)
        if parsed < 1:
            failed[rng.random(len(failed)) >= parsed] = 2
    pool = _answers(cell.condition.task, cell.condition.test_set, len(failed))
    return CellResult(
        cell.condition, tuple(each[k] for each, k in zip(pool, failed.tolist(), strict=True))
    )


@cache
def _answers(task: str, test_set: str, scenes: int) -> list[tuple[Answer, Answer, Answer]]:
    """Make a correct, a wrong and an unparseable answer to each scene."""
    if task != "stability":
        unparsed = {"status": "unparseable", "answer": "", "offset": None}
        return [
            (make_answer(n, True), make_answer(n, False), make_answer(n, False, **unparsed))
            for n in range(scenes)
        ]
    answers = []
    for n in range(scenes):
        falls = n % 5 < 5 * FALLING if test_set == "real" else n % 2 == 0
        verdicts = (falls, not falls, None)
        first, second, third = (make_verdict_answer(str(n), each, falls) for each in verdicts)
        answers.append((first, second, third))
    return answers


def _draw_curve(world: World, spec: AdaptationSpec, rng: np.random.Generator) -> AdaptationCurve:
    subject, steps, scenes = spec.subject, spec.steps, spec.scenes
    who = "shuffled" if subject.method == "sft_shuffled" else subject.kind
    last = float(seed_rates(world.adapted.get(who, 0.4), world.deviation, 1, rng)[0])
    pairs = np.repeat(rng.random(scenes // 2), 2)
    rows = []
    for step in steps:
        rate = 0.1 + (last - 0.1) * step / steps[-1]
        level = np.where(rng.random(scenes) < 0.3, pairs, rng.random(scenes))
        rows.append(tuple((level < rate).tolist()))
    return AdaptationCurve(spec.key, steps, 8, tuple(rows))


def _draw_probe(world: World, key: str, rng: np.random.Generator) -> ProbeResult:
    scores = []
    for source in ("model", "pixels", "untrained"):
        rate = world.probed.get(source, 0.55)
        folds = rng.binomial(PROBED // FOLDS, rate, FOLDS) / (PROBED // FOLDS)
        scores.append(ProbeScore("stability", source, "x", 0, tuple(folds.tolist())))  # type: ignore[arg-type]
    return ProbeResult(key, tuple(scores))


def _write_photographs(folder: Path, count: int) -> None:
    folder.mkdir(parents=True)
    lines = ["file,falls"]
    for n in range(count):
        Image.fromarray(np.full((4, 4, 3), n % 256, np.uint8)).save(folder / f"{n}.png")
        lines.append(f"{n}.png,{int(n % 5 < 5 * FALLING)}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
