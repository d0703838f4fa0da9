"""The cost of a study: results of each kind, and GPU hours.

Hours are estimated from the floating-point operations of a transformer with P parameters, per
token: 2 P for the forward pass, 2 P for the gradient of activations, 2 P for that of all weights
where they are trained, 2 P for recomputing activations (Kaplan et al. 2020). Prompts and
completions count at their maximal lengths, so that the estimate is an upper bound; GPUs of actors
that wait for each other count as used.
"""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from rich.table import Table

from jobs.display.console import console
from physrl.config.methods import SHUFFLED
from physrl.config.model import ModelConfig
from physrl.config.run import RunConfig
from physrl.evaluation.specs import AdaptationSpec, CellSpec, ProbeSpec, StudyPlan
from physrl.evaluation.trials import TrialSpec

PEAK = 989e12
"""Floating-point operations per second of an H100 or H200, dense bfloat16."""
DECODING, TRAINING = 0.08, 0.35
"""Fractions of the peak that vLLM reaches in decoding, and a learner in updates."""
ANSWER_TOKENS = 24
"""Tokens of a demonstration's answer."""
_BILLIONS = re.compile(r"(\d+(?:\.\d+)?)B(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of one kind of results."""

    kind: str
    count: int
    gpu_hours: float


def show(plan: StudyPlan) -> None:
    """Print the plan of a study with its costs."""
    costs = study_costs(plan)
    total = sum(cost.gpu_hours for cost in costs)
    columns = ("", "count", "GPU hours") if total else ("", "count")
    table = Table(title=f"{plan.name}: cost of the study")
    for column in columns:
        table.add_column(column, justify="left" if not column else "right")
    for kind, count, hours in [(cost.kind, cost.count, cost.gpu_hours) for cost in costs]:
        table.add_row(*(kind, f"{count}", f"{hours:,.1f}")[: len(columns)])
    table.add_section()
    count = sum(cost.count for cost in costs)
    table.add_row(*("all", f"{count}", f"{total:,.1f}")[: len(columns)])
    console.print(table)
    if not total:
        console.print("No GPU is configured: hours are not estimated.")
        return
    console.print(
        f"Estimates for H100 or H200 ({PEAK / 1e12:.0f} TFLOP/s), of which decoding reaches "
        f"{DECODING:.0%} and training {TRAINING:.0%}; upper bounds, since all completions count at "
        "their maximal length. Runs without GPUs count as 0."
    )


def study_costs(plan: StudyPlan) -> list[Cost]:
    """Estimate the GPU hours of each kind of results, whether or not they are in the store."""
    selection = [_selection_hours(trial.config) for trial in plan.selection]
    trials = [trial_hours(trial.config) for trial in plan.trials]
    cells = [_cell_hours(plan, cell) for cell in plan.cells]
    adaptations = [_adaptation_hours(spec) for spec in plan.adaptations]
    probes = [_probe_hours(plan, spec) for spec in plan.probes]
    grid = [h for trial, h in zip(plan.trials, trials, strict=True) if not _is_control(trial)]
    controls = [h for trial, h in zip(plan.trials, trials, strict=True) if _is_control(trial)]
    kinds = {"form warm-up": [trial_hours(run.config) for run in plan.form]} if plan.form else {}
    kinds |= {"rates": selection} if selection else {}
    kinds |= {"trials of the grid": grid}
    kinds |= {"trials of controls": controls} if controls else {}
    kinds |= {"cells": cells, "adaptations": adaptations, "probes": probes}
    return [Cost(kind, len(hours), sum(hours)) for kind, hours in kinds.items()]


def _is_control(trial: TrialSpec) -> bool:
    """Return whether a trial is a control: SFT on shuffled labels."""
    return trial.method == SHUFFLED


def trial_hours(run: RunConfig) -> float:
    """Estimate the GPU hours that a run reserves while servers and learners take turns."""
    phases = [run.algorithm] if run.warm_start is None else [run.warm_start, run.algorithm]
    seconds = 0.0
    for algorithm in phases:
        scenes = algorithm.steps * algorithm.prompts_per_step
        if not algorithm.uses_rollouts:
            second = run.auxiliary is not None and not run.auxiliary.predicts
            examples = scenes * (1 + second)
            tokens = examples * (run.model.max_prompt_tokens + ANSWER_TOKENS)
        else:
            completions = scenes * algorithm.group_size
            seconds += decoding_seconds(run, completions) / run.runtime.inference_servers
            tokens = completions * (run.model.max_prompt_tokens + run.model.max_completion_tokens)
        seconds += update_seconds(run.model, tokens) / run.runtime.learner_ranks
    return seconds * run.runtime.gpus / 3600


def _selection_hours(run: RunConfig) -> float:
    """Estimate the GPU hours of a run that a rate is chosen by, its validation included."""
    seconds = decoding_seconds(run, run.evaluation.scenes) / run.runtime.inference_servers
    return trial_hours(run) + seconds * run.runtime.gpus / 3600


def decoding_seconds(run: RunConfig, completions: int) -> float:
    """Estimate the seconds in which one GPU generates completions, including their prompts."""
    operations = 2 * parameters(run.model) * completions
    prefill = operations * run.model.max_prompt_tokens / (PEAK * TRAINING)
    return prefill + operations * run.model.max_completion_tokens / (PEAK * DECODING)


def update_seconds(model: ModelConfig, tokens: int) -> float:
    """Estimate the seconds in which one GPU trains on a number of tokens."""
    passes = 2 + (model.lora is None) + model.gradient_checkpointing
    return 2 * parameters(model) * passes * tokens / (PEAK * TRAINING)


@cache
def parameters(model: ModelConfig) -> float:
    """Estimate a model's parameters from its files' size, or its name on the hub (`...-7B-...`)."""
    folder = Path(model.path)
    if folder.is_dir():
        size = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
        return size / (4 if model.dtype == "float32" else 2)
    match = _BILLIONS.search(model.path)
    return float(match[1]) * 1e9 if match else 7e9


def _cell_hours(plan: StudyPlan, cell: CellSpec) -> float:
    if cell.subject.kind not in ("trained", "base"):
        return 0.0
    run = plan.config_of(cell.subject)
    return decoding_seconds(run, cell.settings.scenes) * run.runtime.gpus_per_server / 3600


def _adaptation_hours(spec: AdaptationSpec) -> float:
    run = spec.config
    examples = spec.steps[-1] * run.algorithm.prompts_per_step
    seconds = update_seconds(run.model, examples * (run.model.max_prompt_tokens + ANSWER_TOKENS))
    seconds += decoding_seconds(run, spec.scenes * len(spec.steps))
    return seconds * run.runtime.gpus / 3600


def _probe_hours(plan: StudyPlan, spec: ProbeSpec) -> float:
    run = plan.config_of(spec.subject)
    operations = 2 * parameters(run.model) * run.model.max_prompt_tokens * spec.scenes
    return operations / (PEAK * TRAINING) * run.runtime.gpus_per_rank / 3600
