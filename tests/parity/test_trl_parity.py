"""Parity with TRL: losses, gradients, advantages and importance weights on the same tensors.

The fixture was written by `trl_fixture.py`. As a script this file prints a table of differences:

    .venv/bin/python tests/parity/test_trl_parity.py [FIXTURE.json]
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from physrl.algorithms.advantage import advantages, decoupled_advantages
from physrl.algorithms.importance import importance_weights, sampling_metrics
from physrl.algorithms.loss import LossInputs
from physrl.algorithms.metrics import combine
from physrl.algorithms.overlong import overlong_punishment
from physrl.algorithms.registry import make_loss
from physrl.config.load import validate
from physrl.types import Metrics

FIXTURE = Path(__file__).with_name("trl.json")
TOLERANCE = 1e-6
LORA = {"lora": {"rank": 1}}
"""Adapter that a KL term needs; no model is loaded here."""


@dataclass(frozen=True)
class Difference:
    """The largest differences of a case."""

    name: str
    loss: float
    grad: float


def configured(table: dict[str, Any]) -> Any:
    return validate({"algorithm": table, "model": LORA}).algorithm


def loss_and_gradients(fixture: dict[str, Any], case: dict[str, Any]) -> tuple[Any, ...]:
    """Compute our loss, gradients and metrics, summed over the shares of all divisions."""
    values = {name: torch.tensor(value) for name, value in fixture["loss_inputs"].items()}
    if case["masked"]:
        values["mask"][fixture["masked_row"]] = 0
    logprobs = values.pop("logprobs").requires_grad_()
    entropy = values.pop("entropy").requires_grad_()
    algorithm = configured(case["table"])
    loss_of = make_loss(algorithm)
    rows = len(logprobs)
    shares, total = [], torch.zeros(())
    for part in torch.arange(rows).chunk(case["divisions"]):
        mask = values["mask"][part]
        inputs = LossInputs(
            logprobs=logprobs[part],
            old_logprobs=values["old_logprobs"][part],
            entropy=entropy[part],
            mask=mask,
            advantages=values["advantages"][part],
            importance=values["importance"][part] if case["weighted"] else torch.ones_like(mask),
            ref_logprobs=values["ref_logprobs"][part] if "beta" in case["table"] else None,
            sequences=rows,
            tokens=int(values["mask"].sum()),
            max_length=fixture["max_length"],
        )
        loss, metrics = loss_of(inputs)
        total = total + loss
        shares.append({name: value.item() for name, value in metrics.items()})
    total.backward()
    unused = torch.zeros_like(logprobs)
    gradients = [unused if one.grad is None else one.grad for one in (logprobs, entropy)]
    return total.item(), *gradients, combine(shares)


def largest(ours: Any, theirs: Any) -> float:
    difference = np.abs(np.asarray(ours, np.float64) - np.asarray(theirs, np.float64))
    return float(difference.max())


def metric_difference(ours: Metrics, theirs: Metrics) -> float:
    assert set(theirs) <= set(ours), set(theirs) - set(ours)
    return max((abs(ours[name] - value) for name, value in theirs.items()), default=0.0)


def compare_losses(fixture: dict[str, Any]) -> list[Difference]:
    differences = []
    for name, case in fixture["losses"].items():
        loss, grad, entropy_grad, metrics = loss_and_gradients(fixture, case)
        grad_difference = largest(grad, case["grad_logprobs"])
        if case["grad_entropy"]:
            grad_difference = max(grad_difference, largest(entropy_grad, case["grad_entropy"]))
        loss_difference = max(abs(loss - case["loss"]), metric_difference(metrics, case["metrics"]))
        differences.append(Difference(name, loss_difference, grad_difference))
    return differences


def compare_advantages(fixture: dict[str, Any]) -> list[Difference]:
    rewards = np.array(fixture["scoring_inputs"]["rewards"]).T
    grouped = rewards.reshape(len(rewards), -1, fixture["group_size"])
    parts = dict(zip(fixture["parts"], grouped, strict=True))
    differences = []
    for name, case in fixture["advantages"].items():
        algorithm = configured(case["table"])
        if algorithm.multi_objective_aggregation == "sum_then_normalize":
            total = grouped.sum(axis=0)
            ours = advantages(total, algorithm.baseline, algorithm.scale_rewards)
        else:
            ours = decoupled_advantages(parts, algorithm.reward_weights)
        differences.append(
            Difference(f"advantages, {name}", largest(ours.ravel(), case["advantages"]), 0.0)
        )
    return differences


def compare_importance(fixture: dict[str, Any]) -> list[Difference]:
    old = torch.tensor(fixture["scoring_inputs"]["old"])
    sampling = torch.tensor(fixture["scoring_inputs"]["sampling"])
    mask = torch.tensor(fixture["loss_inputs"]["mask"])
    differences = []
    for name, case in fixture["importance"].items():
        algorithm = configured(case["table"])
        weights = importance_weights(old, sampling, mask, algorithm)
        inputs = LossInputs(
            logprobs=old,
            old_logprobs=old,
            entropy=old,
            mask=mask,
            advantages=mask[:, 0],
            importance=weights,
            ref_logprobs=None,
            sequences=len(mask),
            tokens=int(mask.sum()),
            max_length=fixture["max_length"],
        )
        found = sampling_metrics(inputs, sampling, algorithm)
        metrics = {key: value.item() for key, value in found.items()}
        difference = max(
            largest(weights, case["weights"]), metric_difference(metrics, case["metrics"])
        )
        differences.append(Difference(f"sampler, {name}", difference, 0.0))
    return differences


def compare_overlong(fixture: dict[str, Any]) -> list[Difference]:
    case = fixture["overlong"]
    lengths = np.arange(len(case["punishments"]))
    ours = overlong_punishment(lengths, case["max_length"], case["cache"])
    return [Difference("soft overlong punishment", largest(ours, case["punishments"]), 0.0)]


def compare(fixture: dict[str, Any]) -> list[Difference]:
    return [
        *compare_losses(fixture),
        *compare_advantages(fixture),
        *compare_importance(fixture),
        *compare_overlong(fixture),
    ]


@pytest.fixture(scope="module")
def fixture() -> dict[str, Any]:
    return dict(json.loads(FIXTURE.read_text()))


def test_losses_and_gradients_equal_trl(fixture: dict[str, Any]) -> None:
    differences = compare_losses(fixture)
    assert len(differences) > 50
    assert {d.name: d for d in differences if max(d.loss, d.grad) > TOLERANCE} == {}


def test_advantages_equal_trl(fixture: dict[str, Any]) -> None:
    for difference in compare_advantages(fixture):
        assert difference.loss <= TOLERANCE, difference.name


def test_sampler_weights_equal_trl(fixture: dict[str, Any]) -> None:
    differences = compare_importance(fixture)
    assert len(differences) == 12  # four modes within three pairs of bounds
    for difference in differences:
        assert difference.loss <= TOLERANCE, difference.name


def test_overlong_punishment_equals_trl(fixture: dict[str, Any]) -> None:
    assert compare_overlong(fixture)[0].loss <= TOLERANCE


def test_every_option_changes_the_loss(fixture: dict[str, Any]) -> None:
    """Check that every option changes its case: otherwise the comparison is empty."""
    losses = {name: case["loss"] for name, case in fixture["losses"].items()}
    for name, value in losses.items():
        algorithm, _, option = name.partition(", ")
        if "two" in option or option == "at its defaults":
            continue
        assert abs(value - losses[f"{algorithm}, at its defaults"]) > 10 * TOLERANCE, name


def main(path: Path) -> int:
    """Print the table and a line of JSON; return 1 if a difference exceeds the tolerance."""
    fixture = json.loads(path.read_text())
    differences = compare(fixture)
    width = max(len(one.name) for one in differences)
    print(f"TRL {fixture['trl']}, torch {fixture['torch']}: largest difference of each case\n")
    print(f"{'case':{width}}  {'value':>8}  {'gradient':>8}")
    for one in differences:
        print(f"{one.name:{width}}  {one.loss:8.1e}  {one.grad:8.1e}")
    worst_loss = max(one.loss for one in differences)
    worst_grad = max(one.grad for one in differences)
    summary = {
        "cases": len(differences),
        "max_abs_diff_loss": worst_loss,
        "max_abs_diff_grad": worst_grad,
    }
    print(f"\n{json.dumps(summary)}")
    return int(max(worst_loss, worst_grad) > TOLERANCE)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else FIXTURE))
