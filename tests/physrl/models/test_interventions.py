"""Replaced states, on random models whose layers are known."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from physrl.config.model import ModelConfig
from physrl.data.collate import Collator
from physrl.models.interventions import Choice, Replacement, deciding_states, log_odds
from physrl.models.loading import load_model
from physrl.models.logprobs import completion_logprobs
from physrl.models.processor import load_processor
from physrl.training_records import TrainingExample
from tests.support.inference import build_random, image_prompts, randomize

PAIRS = 9
"""More scenes than fit into a forward pass."""
TWIN = np.arange(2 * PAIRS) ^ 1


def make_choices(processor: Any, first: str = "Yes", second: str = "No") -> list[Choice]:
    """Ask about different images."""
    answers = [
        tuple(processor.tokenizer(f"<answer>{answer}</answer>")["input_ids"])
        for answer in (first, second)
    ]
    return [Choice(prompt, *answers) for prompt in image_prompts(2 * PAIRS)]


def carry_in_layer(model: Any, carrier: int) -> None:
    """Let tokens see each other in one layer alone."""
    for place, layer in enumerate(model.model.language_model.layers):
        if place != carrier:
            layer.self_attn.o_proj.weight.data.zero_()


@pytest.mark.parametrize("carrier", [0, 1, 2])
def test_a_state_decides_from_the_layer_that_carries_the_verdict_on(carrier: int) -> None:
    model, processor = build_random(seed=1)
    carry_in_layer(model, carrier)
    collator, choices = Collator(processor), make_choices(processor)
    odds = log_odds(model, collator, choices)
    gap = odds[TWIN] - odds
    assert np.abs(gap).mean() > 0.02
    for depth, (layer, states) in enumerate(deciding_states(model, collator, choices).items()):
        exchanged = log_odds(model, collator, choices, Replacement(layer, states[TWIN]))
        expected = odds[TWIN] if depth >= carrier else odds
        np.testing.assert_allclose(exchanged, expected, atol=1e-4)


def test_own_states_change_nothing_and_hooks_are_removed() -> None:
    model, processor = build_random(seed=2)
    collator, choices = Collator(processor), make_choices(processor)
    odds = log_odds(model, collator, choices)
    for layer, states in deciding_states(model, collator, choices).items():
        same = log_odds(model, collator, choices, Replacement(layer, states))
        np.testing.assert_allclose(same, odds, atol=1e-4)
        changed = log_odds(model, collator, choices, Replacement(layer, states + 1))
        assert np.abs(changed - odds).max() > 0.01
    np.testing.assert_array_equal(log_odds(model, collator, choices), odds)
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize("answers", [("<answer>Yes", "<answer>No"), ("Yes", "No")])
def test_log_odds_are_those_of_the_first_tokens_that_differ(
    answers: tuple[str, str],
) -> None:
    model, processor = build_random(seed=3)
    collator = Collator(processor)
    first, second = (
        (*processor.tokenizer(text, add_special_tokens=False)["input_ids"], collator.eos_token_id)
        for text in answers
    )
    (prompt, *_) = image_prompts(3)
    choice = Choice(prompt, first, second)
    assert choice.shared == ("<answer>" in answers[0])
    with torch.no_grad():
        rows, _ = completion_logprobs(
            model,
            collator([TrainingExample(prompt, first), TrainingExample(prompt, second)]),
            collator.banned_token_ids,
        )
    expected = float(rows[0, choice.shared] - rows[1, choice.shared])
    assert log_odds(model, collator, [choice])[0] == pytest.approx(expected, abs=1e-4)
    states = deciding_states(model, collator, [choice])
    for layer, own in states.items():
        same = log_odds(model, collator, [choice], Replacement(layer, own))
        assert same[0] == pytest.approx(expected, abs=1e-4)


def test_the_last_state_decides_in_every_family(family_checkpoint: Path) -> None:
    model = load_model(ModelConfig(path=str(family_checkpoint)))
    processor = load_processor(str(family_checkpoint))
    randomize(model, seed=0)
    collator, choices = Collator(processor), make_choices(processor)[:4]
    odds = log_odds(model, collator, choices)
    states = deciding_states(model, collator, choices)
    twins = np.arange(4) ^ 1
    assert np.abs(odds[twins] - odds).max() > 1e-3
    last = max(states, key=lambda layer: int(layer.split(".")[1]))
    exchanged = log_odds(model, collator, choices, Replacement(last, states[last][twins]))
    np.testing.assert_allclose(exchanged, odds[twins], atol=1e-4)
