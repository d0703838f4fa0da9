"""A made-up study with its runs, of any size, as `physrl watch` finds it in a folder."""

import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic_core import to_json

from physrl.config.load import dump_yaml
from physrl.config.study import load_study_config
from physrl.config.task import TASKS
from physrl.data.rollouts import SCHEMA, write_rollouts
from physrl.evaluation.adaptation import AdaptationCurve
from physrl.evaluation.cells import FORMAT, Failure, Running, Trained
from physrl.evaluation.plan import plan_study
from physrl.evaluation.plan_file import dump_plan
from physrl.evaluation.probe_results import ProbeResult, ProbeScore
from physrl.evaluation.result_files import dump_results
from physrl.evaluation.results import Answer, CellResult
from physrl.evaluation.specs import CellSpec, Condition, StudyPlan
from physrl.evaluation.trials import TrialSpec
from physrl.types import Offset
from tests.support.answers import make_answer, make_verdict_answer
from tests.support.rollouts import rollout_group

NAME = "big"
SCENES, LEVELS = 64, 8
"""Scenes of a cell, and success rates that differ."""
METRICS = (
    "reward", "reward_std", "loss", "grad_norm", "lr", "entropy", "kl", "parse/failure_rate",
    "clip_ratio/region_mean", "policy/staleness", "completions/mean_length",
    "completions/clipped_ratio", "frac_reward_zero_std", "time/step_s", "time/generate_s",
    "time/update_s", "time/rollout_s", "time/sync_s", "idle/learner", "idle/servers",
    "sampling/sampling_logp_difference/mean", "throughput/completions_per_s",
)  # fmt: skip
METHODS = ("grpo", "gspo", "sft", "dapo", "rejection")


@dataclass(frozen=True, slots=True)
class TreeSize:
    """The size of a tree."""

    trained: tuple[str, ...] = ("stability", "place")
    measured: tuple[str, ...] = ("stability", "place")
    seeds: int = 2
    methods: int = 2
    variants: int = 1
    prompts: int = 1
    """Prompting conditions."""
    runs: int = 1
    """Trials that are running, each with its folder."""
    steps: int = 3
    groups: int = 2
    group_size: int = 2


TRAINED = ("stability", "stabilize", "place_x", "place")
BIG = TreeSize(
    trained=TRAINED,
    measured=TASKS.built_in,
    seeds=6,
    methods=5,
    variants=4,
    prompts=3,
    runs=20,
    steps=300,
    groups=16,
    group_size=16,
)
"""504 trials, 40,544 cells, 300 steps of 16 x 16 rollouts for each of 20 runs."""


def write_tree(folder: Path, size: TreeSize, now: float) -> StudyPlan:
    """Write a study's store and output folder; the last trials run, a few results have failed.

    Args:
        now: present time in seconds since 1970, at which the runs' last lines were written.
    """
    plan = _plan(folder, size)
    store = folder / "store"
    for kind in ("plans", "trained", "cells", "adaptation", "probes", "running", "failed"):
        (store / kind).mkdir(parents=True)
    (store / "format.json").write_text(json.dumps({"format": FORMAT}))
    (store / "plans" / f"{plan.name}.json").write_bytes(dump_plan(plan))
    live = plan.trials[len(plan.trials) - size.runs :]
    failed = plan.trials[0]
    for trial in plan.trials[1 : len(plan.trials) - size.runs]:
        _write_trained(store, trial, trial.config.algorithm.steps)
    for trial in live:
        _mark(store, trial.key, trial.name, now - 600)
    _fail(store, failed.key, failed.name, "CUDA out of memory: 3 GiB wanted, 1 GiB free", now)
    absent = {trial.key for trial in live} | {failed.key}
    _write_cells(store, [c for c in plan.cells if c.subject.key not in absent], now)
    _write_others(store, plan, absent)
    steps = _write_steps(folder, size)
    for number, trial in enumerate(live):
        _write_run(folder / "runs" / plan.name / "trials" / trial.name, trial, size, now, number)
        _link(steps, folder / "runs" / plan.name / "trials" / trial.name / "rollouts")
    return plan


def _plan(folder: Path, size: TreeSize) -> StudyPlan:
    variants = {
        "default": {},
        "rank8": {"overrides": {"model": {"lora": {"rank": 8}}}},
        "rank32": {"overrides": {"model": {"lora": {"rank": 32}}}},
        "slow": {"overrides": {"algorithm": {"lr": 1e-6}}},
    }
    prompting = [{}, {"decoding": "sampled"}, {"shots": 4, "examples": "form"}]
    overrides = [
        f"name={NAME}",
        f"base.output={folder / 'runs'}",
        f"grid.tasks=[{', '.join(size.trained)}]",
        f"evaluation.tasks=[{', '.join(size.measured)}]",
        f"grid.methods={{{', '.join(f'{name}: {{}}' for name in METHODS[: size.methods])}}}",
        "grid.models={tiny: {}}",
        f"grid.seeds={list(range(size.seeds))}",
        f"grid.variants={json.dumps(dict(list(variants.items())[: size.variants]))}",
        f"evaluation.prompting={json.dumps(prompting[: size.prompts])}",
        "evaluation.test_sets=[iid, tall]",
        f"evaluation.scenes={SCENES}",
        f"base.algorithm.steps={size.steps + 20}",
        "base.model.max_images=9",
        "base.model.max_prompt_tokens=900",
        "adaptation={tasks: [place, stability], steps: [0, 4, 8], scenes: 64}",
        "max_cells=100000",
    ]
    return plan_study(load_study_config(None, overrides))


def _write_trained(store: Path, trial: TrialSpec, steps: int) -> None:
    head = to_json(asdict(Trained(trial.key, trial.name, "nowhere", 600.0)))
    rows = _rows(trial.config.task, trial.seed % LEVELS, steps)
    data = head.replace(b'"metrics":[]', b'"metrics":' + rows)
    (store / "trained" / f"{trial.key}.json").write_bytes(data)


@cache
def _rows(task: str, level: int, steps: int) -> bytes:
    return to_json(_metrics(task, level, steps))


def _metrics(task: str, level: int, steps: int) -> list[dict[str, float]]:
    """Make metrics of a run that learns."""
    rng = np.random.default_rng(level)
    learned = 0.1 + (0.5 + level / 20) * (1 - np.exp(-np.arange(steps) / 80))
    rates = (learned + rng.normal(0, 0.04, steps)).clip(0, 1)
    others = rng.random((steps, len(METRICS)))
    return [
        {"step": step + 1, f"task/{task}/accuracy": float(rates[step])}
        | dict(zip(METRICS, map(float, others[step]), strict=True))
        | {"time/step_s": 2.0 + float(others[step][0]) / 10}
        for step in range(steps)
    ]


def _write_cells(store: Path, cells: Sequence[CellSpec], now: float) -> None:
    """Write cells but for a few that run, fail or are missing; the last was written just now."""
    for number, cell in enumerate(cells):
        name = f"{cell.subject.name}: {cell.condition.task}"
        if number % 199 == 5:
            _fail(store, cell.key, name, "the server died", now)
        elif number % 997 == 6:
            _mark(store, cell.key, name, now - 40)
        elif number % 211 != 7:
            path = store / "cells" / f"{cell.key}.parquet"
            on_trained = cell.condition.task in cell.subject.trained_on
            path.write_bytes(_cell(cell.condition, (number + 3 * on_trained) % LEVELS))
            if number > len(cells) - 100:
                at = now - 10 * (len(cells) - number)
                os.utime(path, (at, at))


@cache
def _cell(condition: Condition, level: int) -> bytes:
    rng = np.random.default_rng(level)
    answers = tuple(
        _answer(condition, number, bool(rng.random() < (level + 1) / (LEVELS + 2)))
        for number in range(SCENES)
    )
    return dump_results([CellResult(condition, answers)], {"format": FORMAT})


def _answer(condition: Condition, number: int, success: bool) -> Answer:
    scene = f"{condition.task}/test/{condition.test_set}/0/{number}"
    if condition.task == "stability":
        falls = number % 2 == 0
        return make_verdict_answer(scene, falls if success else not falls, falls)
    return make_answer(
        number,
        success,
        scene_id=scene,
        margin=0.05 + (number % 8) / 20,
        height=2.0 + number % 3,
        blocks=2 + number % 3,
        side="left" if number % 2 else "right",
        generator=condition.test_set,
    )


def _write_others(store: Path, plan: StudyPlan, absent: set[str]) -> None:
    rng = np.random.default_rng(0)
    for spec in plan.adaptations:
        if spec.subject.key not in absent:
            rates = 0.2 + 0.05 * np.array(spec.steps)
            rows = tuple(tuple((rng.random(spec.scenes) < rate).tolist()) for rate in rates)
            curve = AdaptationCurve(spec.key, spec.steps, 64, rows)
            (store / "adaptation" / f"{spec.key}.json").write_bytes(to_json(asdict(curve)))
    scores = tuple(
        ProbeScore(target, source, f"language.{layer}", layer, (0.5, 0.6, 0.7, 0.5, 0.6))  # type: ignore[arg-type]
        for target in ("margin", "stability")
        for source in ("model", "untrained", "shuffled")
        for layer in range(3)
    )
    for probe in plan.probes:
        if probe.subject.key not in absent:
            data = to_json(asdict(ProbeResult(probe.key, scores)))
            (store / "probes" / f"{probe.key}.json").write_bytes(data)


def _write_run(folder: Path, trial: TrialSpec, size: TreeSize, now: float, number: int) -> None:
    folder.mkdir(parents=True)
    config = trial.config.model_copy(update={"name": trial.name, "output": folder.parent})
    (folder / "config.yaml").write_text(dump_yaml(config))
    rows = _metrics(trial.config.task, number % LEVELS, size.steps)
    lines = [
        json.dumps({"step": row["step"], "time": now - 2.0 * (size.steps - at)} | row)
        for at, row in enumerate(rows, start=1)
    ]
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    checkpoint = folder / "checkpoints" / f"step-{max(1, size.steps - 10):08d}"
    checkpoint.mkdir(parents=True)
    (checkpoint / "state.json").write_text("{}")
    (checkpoint / "MANIFEST.json").write_text('{"files": {}}')


def _write_steps(folder: Path, size: TreeSize) -> list[Path]:
    """Write the rollouts of each step once; runs share them."""
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 255, (16, 16, 3)).astype(np.uint8) for _ in range(size.groups)]
    actions = [Offset(number / 10, 1.0) for number in range(size.group_size)]
    groups = [rollout_group(actions, image) for image in images]
    advantages = rng.normal(size=size.groups * size.group_size).tolist()
    first = folder / "steps" / "step-00000001.parquet"
    write_rollouts(first, groups, advantages, 1)
    table = pq.read_table(first)
    place = table.schema.get_field_index("step")
    texts = table.schema.get_field_index("completion")
    paths = [first]
    for step in range(2, size.steps + 1):
        steps = pa.array([step] * len(table), pa.int64())
        said = [f"<answer>{step} {row}</answer>" for row in range(len(table))]
        changed = table.set_column(place, SCHEMA.field("step"), steps)
        changed = changed.set_column(texts, SCHEMA.field("completion"), pa.array(said))
        paths.append(folder / "steps" / f"step-{step:08d}.parquet")
        pq.write_table(changed, paths[-1], compression="zstd")
    return paths


def _link(steps: Sequence[Path], folder: Path) -> None:
    folder.mkdir(parents=True)
    for path in steps:
        os.link(path, folder / path.name)


def _mark(store: Path, key: str, name: str, at: float) -> None:
    (store / "running" / f"{key}.json").write_bytes(to_json(asdict(Running(key, name, at))))


def _fail(store: Path, key: str, name: str, reason: str, at: float) -> None:
    data = to_json(asdict(Failure(key, name, reason, 3, at)))
    (store / "failed" / f"{key}.json").write_bytes(data)


if __name__ == "__main__":
    import sys

    write_tree(Path(sys.argv[1]), BIG, time.time())
