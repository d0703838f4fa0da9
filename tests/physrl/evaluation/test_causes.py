"""Causes of answers, on models whose deciding layer or direction is known."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from physrl.config.model import ModelConfig
from physrl.config.study import load_study_config
from physrl.data.collate import Collator
from physrl.environments.renderer import TinyRenderer
from physrl.evaluation.causes import Twins, find_causes
from physrl.evaluation.plan import plan_study
from physrl.evaluation.probe_results import CauseScore, ProbeResult
from physrl.evaluation.probe_summary import cause_curve, share_estimate
from physrl.evaluation.probes import probe_model
from physrl.models.interventions import Choice, deciding_states, log_odds
from physrl.models.loading import load_model
from physrl.models.processor import load_processor
from tests.physrl.models.test_interventions import carry_in_layer, make_choices
from tests.support.inference import build_random


def balance(model: Any, collator: Collator, choices: Sequence[Choice]) -> None:
    """Change the head so that the log-odds of Yes are 0 on average."""
    backbone, shared = model.model.language_model, choices[0].shared
    *_, last = deciding_states(model, collator, choices).values()
    with torch.no_grad():
        mean = backbone.norm(torch.from_numpy(last)).mean(dim=0)
        weight, yes, no = model.lm_head.weight, choices[0].first[shared], choices[0].second[shared]
        weight[yes] -= (weight[yes] - weight[no]) @ mean / (mean @ mean) * mean


def make_twins(carrier: int) -> tuple[Twins, Any, Collator]:
    """Pair the images that a model answers most differently: values are its own verdicts."""
    model, processor = build_random(seed=4)
    carry_in_layer(model, carrier)
    collator, choices = Collator(processor), make_choices(processor)
    balance(model, collator, choices)
    order = np.argsort(log_odds(model, collator, choices))
    half = len(order) // 2
    chosen, values = [], []
    for number, (low, high) in enumerate(zip(order[:half], order[:half:-1], strict=False)):
        yes, no = choices[high], choices[low]
        swapped = [replace(each, first=each.second, second=each.first) for each in (no, yes)]
        pair = ([yes, no], [1.0, 0.0]) if number % 2 else (swapped, [0.0, 1.0])
        chosen += pair[0]
        values += pair[1]
    return Twins(tuple(chosen), np.array(values)), model, collator


@pytest.mark.parametrize("carrier", [0, 1, 2])
def test_exchange_finds_the_layer_that_carries_the_verdict_and_only_those_from_it_on(
    carrier: int,
) -> None:
    twins, model, collator = make_twins(carrier)
    result = ProbeResult("key", (), find_causes(twins, 4, model, collator, 0))
    for measure in ("exchange", "flips"):
        effects = cause_curve([result], measure, "effect").effects  # type: ignore[arg-type]
        for depth, effect in enumerate(effects):
            assert effect is not None
            assert effect.value == pytest.approx(float(depth >= carrier), abs=1e-3)
        control = cause_curve([result], measure, "control").effects[-1]  # type: ignore[arg-type]
        assert control is not None
        assert control.value < 0.5
    steered = cause_curve([result], "steering", "effect").effects
    assert all(each is not None and abs(each.value) < 1e-3 for each in steered[:carrier])
    assert steered[carrier] is not None
    assert steered[carrier].value > 0


def test_steering_along_the_probe_moves_answers_more_than_random_directions() -> None:
    twins, model, collator = make_twins(2)
    result = ProbeResult("key", (), find_causes(twins, 4, model, collator, 0))
    probe, random = (
        cause_curve([result], "steering", role).effects[-1] for role in ("effect", "control")
    )
    assert probe is not None
    assert random is not None
    assert probe.low > 0
    assert random.value < probe.value / 2


def test_donors_lie_on_the_same_side_in_other_pairs() -> None:
    _, processor = build_random(seed=4)
    twins = Twins(tuple(make_choices(processor)[:8]), np.array([1.0, 0, 0, 1, 0.2, 0.5, 3, -2]))
    assert twins.above.tolist() == [True, False, False, True, False, True, True, False]
    assert twins.donor.tolist() == [3, 2, 4, 5, 7, 6, 0, 1]
    assert twins.turns.tolist() == [1, 1, -1, -1, -1, -1, 1, 1]
    assert twins.take(slice(1, None)).values.tolist() == [0, 1, 0.2, 0.5, 3, -2]


def test_a_share_has_an_interval_over_pairs() -> None:
    gaps = np.array([1.0, 2, 3, 2])
    exact = share_estimate(0.5 * gaps, gaps)
    assert exact is not None
    assert (exact.low, exact.high) == pytest.approx((0.5, 0.5))
    found = share_estimate(np.array([1.0, 0, 3, 0]), gaps)
    # 4 / 8; residuals .5, -1, 1.5, -1; t(.975, 3) = 3.1824.
    half = 3.18245 * (4 / 3 * 4.5) ** 0.5 / 8
    assert found is not None
    assert (found.value, found.high) == pytest.approx((0.5, 0.5 + half), abs=1e-4)
    assert share_estimate(np.zeros(3), np.zeros(3)) is None


def test_intervals_over_pairs_hold_the_share() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(2000):
        gaps = rng.exponential(size=20)
        found = share_estimate(gaps * 0.4 + rng.normal(size=20) * 0.3 * gaps**0.5, gaps)
        assert found is not None
        held += found.low <= 0.4 <= found.high
    assert 0.92 < held / 2000 < 0.97


def test_models_of_a_family_are_pooled_by_pair() -> None:
    scores = [CauseScore("flips", "effect", "language.0", 0, (n, 0.0), (1.0, 1.0)) for n in (0, 1)]
    results = [ProbeResult("key", (), (score,)) for score in scores]
    curve = cause_curve(results, "flips", "effect")
    assert curve.layers == ("language.0",)
    assert curve.effects[0] is not None
    assert curve.effects[0].value == 0.25
    assert cause_curve(results, "flips", "control").layers == ()


@pytest.mark.parametrize("task", ["stability", pytest.param("place", marks=pytest.mark.slow)])
def test_the_tiny_base_is_intervened_on(renderer: TinyRenderer, task: str) -> None:
    overrides = ["grid.tasks=[place]", "grid.methods={grpo: {}}", "probes.scenes=40"]
    overrides += ["probes.interventions=8", "probes.targets=[blocks]"]
    plan = plan_study(load_study_config(None, overrides))
    spec = next(s for s in plan.probes if (s.subject.kind, s.task) == ("base", task))
    config = ModelConfig()
    result = probe_model(spec, load_model(config), load_processor(config.path), renderer)
    exchange = cause_curve([result], "exchange", "effect")
    assert exchange.layers == ("language.0", "language.1", "language.2")
    last = exchange.effects[-1]
    assert last is not None
    assert last.value == pytest.approx(1, abs=1e-3)  # nothing else decides
    assert {len(score.moved) for score in result.causes} == {len(result.causes[0].gaps)}
