"""A made-up study with real scene ids, invented answers, and some results missing."""

from pathlib import Path

import numpy as np
from PIL import Image

from physrl.config.study import load_study_config
from physrl.data.photos import load_photos
from physrl.evaluation.adaptation import AdaptationCurve
from physrl.evaluation.cells import CellStore, Trained, open_cell_store
from physrl.evaluation.plan import plan_study
from physrl.evaluation.probe_results import ProbeResult, ProbeScore, Source
from physrl.evaluation.results import Answer, CellResult
from physrl.evaluation.specs import CellSpec, StudyPlan
from physrl.evaluation.study_results import StudyResults, read_study_results
from tests.support.answers import make_answer

LAYERS = ("vision.0", "vision.1", "vision.2", "merger", "language.0", "language.1", "language.2")
OVERRIDES = (
    "name=made-up",
    "grid.tasks=[place, stability]",
    "grid.methods={grpo: {}, gspo: {}, sft: {}}",
    "grid.models={tiny: {}}",
    "grid.seeds=[0, 1]",
    "grid.variants={default: {}, long: {overrides: {algorithm: {steps: 300}}, methods: [grpo]}}",
    "evaluation.tasks=[place, stability, place_x]",
    "evaluation.scenes=80",
    "evaluation.test_sets=[iid, wild, real]",
    "adaptation.tasks=[place, stability, place_x]",
    "probes.tasks=[stability]",
)


def make_study_results(folder: Path) -> StudyResults:
    """Write the study to a store and read its results; the same at every call."""
    photos = folder / "photos"
    _write_photographs(photos)
    config = load_study_config(None, [*OVERRIDES, f"evaluation.real_images={photos}"])
    plan = plan_study(config)
    store = open_cell_store(str(folder / "store"))
    _fill_store(plan, store)
    return read_study_results(plan, store, load_photos(photos))


def _fill_store(plan: StudyPlan, store: CellStore) -> None:
    rng = np.random.default_rng(0)
    lost = next(t for t in plan.trials if t.name == "tiny-stability-gspo-seed1")
    store.fail(lost.key, lost.name, "CUDA out of memory: 3 GiB wanted, 1 GiB free", 3)
    for trial in plan.trials:
        if trial.key != lost.key:
            curve = 0.1 + 0.8 * (1 - np.exp(-np.arange(60) / 20)) + rng.normal(0, 0.04, 60)
            name = f"task/{trial.config.task}/accuracy"
            rows = tuple({"step": float(n), name: float(v)} for n, v in enumerate(curve.clip(0, 1)))
            metrics = () if "sft" in trial.method else rows
            store.write_trained(Trained(trial.key, trial.name, "nowhere", 60.0, metrics))
    for number, cell in enumerate(plan.cells):
        if cell.subject.key == lost.key:
            continue
        if number % 41 == 5:
            store.fail(cell.key, f"{cell.subject.name} {cell.condition.task}", "server died", 2)
        elif number % 41 == 7:
            store.start(cell.key, cell.subject.name)
        elif not (cell.subject.variant == "long" and cell.condition.test_set == "wild"):
            store.write_cell(cell.key, CellResult(cell.condition, _make_answers(cell, rng)))
    for spec in plan.adaptations:
        speed = 0.02 if spec.subject.kind == "base" else 0.05
        rates = 0.1 + 0.7 * (1 - np.exp(-speed * np.array(spec.steps)))
        rows = tuple(tuple((rng.random(spec.scenes) < rate).tolist()) for rate in rates)
        store.write_adaptation(AdaptationCurve(spec.key, spec.steps, 64, rows))
    for probe in plan.probes:
        scores = []
        for source, top in (("model", 0.85), ("untrained", 0.55), ("shuffled", 0.0)):
            for depth, layer in enumerate(LAYERS):
                scores += _make_scores(source, layer, depth, top * (0.5 + depth / 12), rng)  # type: ignore[arg-type]
        scores += _make_scores("pixels", "pixels", 0, 0.3, rng)
        store.write_probe(ProbeResult(probe.key, tuple(scores)))


def _make_scores(
    source: Source, layer: str, depth: int, level: float, rng: np.random.Generator
) -> list[ProbeScore]:
    folds = level + rng.normal(0, 0.03, 5)
    verdicts = 0.5 + folds / 2
    return [
        ProbeScore("margin", source, layer, depth, tuple(folds.tolist())),
        ProbeScore("stability", source, layer, depth, tuple(verdicts.tolist())),
        ProbeScore("blocks", source, layer, depth, tuple((folds * 1.1).tolist())),
    ]


def _make_answers(cell: CellSpec, rng: np.random.Generator) -> tuple[Answer, ...]:
    condition, subject = cell.condition, cell.subject
    rate = {"place": 0.05, "place_x": 0.1, "stability": 0.5}[condition.task]
    if condition.task in subject.trained_on and condition.images == "shown":
        rate += {"iid": 0.4, "tall": 0.1, "wild": 0.2, "real": 0.02}[condition.test_set]
    if subject.method == "sft_shuffled":
        rate = 0.1
    if subject.kind == "physics":
        rate = 1.0
    names = (
        [f"photo-{n}.png" for n in range(cell.settings.scenes)]
        if condition.test_set == "real"
        else [
            f"{condition.task}/test/{condition.test_set}/0/{n}" for n in range(cell.settings.scenes)
        ]
    )
    # Some scenes are harder than others for every subject.
    hard = np.random.default_rng(len(names)).random(len(names))
    drawn = np.where(rng.random(len(names)) < 0.9, hard, rng.random(len(names)))
    return tuple(
        _answer(condition.task, name, bool(level < rate))
        for name, level in zip(names, drawn, strict=True)
    )


def _answer(task: str, name: str, success: bool) -> Answer:
    text = {"stability": "Yes", "place_x": "150"}.get(task, "150 200")
    return make_answer(
        success=success,
        scene_id=name,
        completion=f"<answer>{text}</answer>",
        answer=text,
        ideal=text,
        reward=float(success),
        offset=None if task == "stability" else (1.5, 2.0 if task == "place" else 0.0),
        ideal_offset=None,
    )


def _write_photographs(folder: Path) -> None:
    folder.mkdir()
    lines = ["file,falls,human_falls_fraction"]
    for n in range(40):
        Image.fromarray(np.full((8, 8, 3), n, np.uint8)).save(folder / f"photo-{n}.png")
        lines.append(f"photo-{n}.png,{n % 2},{0.75 if n % 2 else 0.3}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
