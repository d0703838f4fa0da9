"""The strategies of policy gradients and of SFT."""

from typing import Any

import pytest
import torch

from physrl.algorithms.micro_batch import MicroBatch
from physrl.algorithms.strategy import Strategy, make_strategy
from physrl.config.load import validate
from physrl.training_records import Demonstration, TrainingBatch, TrainingExample
from physrl.types import Prompt

PROMPT = Prompt.ask("p", "?")
CUT = TrainingExample(PROMPT, (1, 2, 3), truncated=True)


class Letters:
    """A tokenizer whose tokens are characters."""

    def completion_ids(self, text: str) -> tuple[int, ...]:
        return tuple(map(ord, text))


def strategy(**algorithm: object) -> Strategy:
    tree = {"algorithm": algorithm, "model": {"lora": {}}, "temperature": 0.5}
    return make_strategy(validate(tree), Letters())


def test_sft_needs_nothing_of_a_sampler() -> None:
    sft = strategy(type="sft")
    assert sft.temperature == 1
    assert not sft.needs_old_logprobs
    assert sft.counted_tokens(CUT) == 3


def test_a_policy_gradient_follows_its_configuration() -> None:
    plain, masking = strategy(type="grpo"), strategy(type="dapo", beta=0.1, mask_truncated=True)
    assert plain.temperature == 0.5
    assert plain.needs_old_logprobs
    assert [plain.counted_tokens(CUT), masking.counted_tokens(CUT)] == [3, 0]


def test_sft_tokenizes_demonstrations() -> None:
    sft = strategy(type="sft")
    batch = sft.training_batch([Demonstration(PROMPT, "ab", weight=0.5)])
    assert batch == TrainingBatch((TrainingExample(PROMPT, (97, 98), weight=0.5),))
    assert sft.training_batch(batch) is batch
    with pytest.raises(TypeError):
        strategy(type="grpo").training_batch([Demonstration(PROMPT, "ab")])


def test_only_sampled_examples_have_importance_weights() -> None:
    mask = torch.tensor([[1.0, 0.5]])
    old, sampling = torch.log(torch.tensor([[2.0, 2.0]])), torch.zeros(1, 2)
    inputs: Any = None  # the model's, which strategies do not use
    sampled, idle = (MicroBatch([CUT], inputs, mask, each) for each in (sampling, None))
    gradient = strategy(type="grpo", importance_sampling_mode="token_truncate")
    assert gradient.importance(old, sampled)[0].tolist() == pytest.approx([2.0, 2.0**0.5])
    assert gradient.importance(old, idle) is mask
    assert strategy(type="sft").importance(old, sampled) is mask


def test_rejection_sampling_counts_the_examples_with_credit() -> None:
    rejection = strategy(type="rejection", updates_per_rollout=2)
    right, wrong, other = (TrainingExample(PROMPT, (1, 2), advantage=a) for a in (1.0, 0.0, 1.0))
    batch = rejection.training_batch(TrainingBatch((wrong, right, wrong, other)))
    assert batch == TrainingBatch((right, other))
    assert rejection.temperature == 1
    # Where successes are too few for all updates, a failure fills up without being learned.
    assert rejection.training_batch(TrainingBatch((wrong, right))).examples == (right, wrong)
    nothing = rejection.training_batch(TrainingBatch((wrong, wrong, wrong)))
    assert nothing.examples == (wrong, wrong)
    assert [rejection.counted_tokens(each) for each in (right, wrong)] == [2, 0]
