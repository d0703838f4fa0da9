"""Log-probabilities against a plain forward pass of transformers, for every family."""

from pathlib import Path

import numpy as np
import pytest
import torch

from physrl.config.model import LoRAConfig, ModelConfig
from physrl.data.collate import Collator
from physrl.models.loading import load_model
from physrl.models.logprobs import completion_logprobs
from physrl.models.processor import load_processor
from physrl.training_records import TrainingExample
from physrl.types import Prompt, Turn
from tests.support.images import random_image


def examples(collator: Collator) -> list[TrainingExample]:
    """Make three rows of different lengths; the first two have the same image."""
    shared, other = random_image(0), random_image(1)
    prompts = [("a", "How many?", shared), ("b", "Where is the red block?", shared)]
    prompts.append(("c", "How many blocks are there?", other))
    answers = ["<answer>3</answer>", "<answer>-120 50</answer>", "No"]
    return [
        TrainingExample(Prompt.ask(*prompt), collator.completion_ids(answer))
        for prompt, answer in zip(prompts, answers, strict=True)
    ]


def plain_logprobs(path: Path, example: TrainingExample) -> torch.Tensor:
    """Compute one row by transformers alone: the processor's own expansion, full logits."""
    processor, model = load_processor(str(path)), load_model(ModelConfig(path=str(path)))
    collator = Collator(processor)
    text = collator.chat_text(example.prompt)
    images = list(example.prompt.images) or None
    inputs = processor(text=[text], images=images, return_tensors="pt")
    completion = torch.tensor([example.completion_ids])
    count = completion.shape[1]
    types = torch.cat([inputs["mm_token_type_ids"], torch.zeros_like(completion)], dim=1)
    encoded = {key: inputs[key] for key in ("pixel_values", "image_grid_thw") if key in inputs}
    logits = model(
        input_ids=torch.cat([inputs["input_ids"], completion], dim=1),
        mm_token_type_ids=types,
        **encoded,
    ).logits[0, -count - 1 : -1]
    logits[:, list(collator.banned_token_ids)] = -torch.inf
    return logits.log_softmax(dim=-1).gather(1, completion[0][:, None])[:, 0]


def test_batched_rows_equal_each_row_alone_in_transformers(family_checkpoint: Path) -> None:
    collator = Collator(load_processor(str(family_checkpoint)))
    model = load_model(ModelConfig(path=str(family_checkpoint)))
    batch = examples(collator)
    logprobs, _ = completion_logprobs(model, collator(batch), collator.banned_token_ids)
    for row, example in zip(logprobs, batch, strict=True):
        count = len(example.completion_ids)
        expected = plain_logprobs(family_checkpoint, example)
        torch.testing.assert_close(row[:count], expected, atol=1e-5, rtol=0)
        assert not row[count:].any()


def test_prompt_ids_are_the_processors_own(family_checkpoint: Path) -> None:
    processor = load_processor(str(family_checkpoint))
    collator = Collator(processor)
    for size in (56, 84, 224):
        prompt = Prompt.ask("p", "How many blocks are there?", random_image(0, size))
        own = processor(
            text=[collator.chat_text(prompt)], images=[prompt.image], return_tensors="pt"
        )
        assert collator.prompt_ids(prompt) == tuple(own["input_ids"][0].tolist())
        assert collator.prompt_length(prompt) == own["input_ids"].shape[1]


def test_entropy_of_a_uniform_policy_counts_the_allowed_tokens(family_checkpoint: Path) -> None:
    collator = Collator(load_processor(str(family_checkpoint)))
    model = load_model(ModelConfig(path=str(family_checkpoint)))
    # As the temperature rises every allowed token becomes equally likely.
    inputs, banned = collator(examples(collator)), collator.banned_token_ids
    logprobs, entropy = completion_logprobs(model, inputs, banned, temperature=1e6)
    allowed = model.config.text_config.vocab_size - len(banned)
    assert entropy[0, 0].item() == pytest.approx(np.log(allowed), abs=1e-3)
    assert logprobs[0, 0].item() == pytest.approx(-np.log(allowed), abs=1e-3)


@pytest.mark.parametrize(
    ("lora", "parts"),
    [
        (LoRAConfig(rank=4), {"language_model"}),
        (LoRAConfig(rank=4, language=False, vision=True), {"visual.blocks"}),
        (LoRAConfig(rank=4, language=False, projector=True), {"merger"}),
    ],
)
def test_lora_trains_only_the_chosen_part(
    family_checkpoint: Path, lora: LoRAConfig, parts: set[str]
) -> None:
    model = load_model(ModelConfig(path=str(family_checkpoint), lora=lora))
    trained = [name for name, weight in model.named_parameters() if weight.requires_grad]
    assert trained
    assert all(any(part in name for part in parts) for name in trained)
    collator = Collator(load_processor(str(family_checkpoint)))
    logprobs, _ = completion_logprobs(model, collator(examples(collator)), ())
    logprobs.sum().backward()  # the adapters are reached by the gradient
    gradients = [p.grad for n, p in model.named_parameters() if "lora_B" in n]
    assert any(gradient is not None and gradient.abs().sum() > 0 for gradient in gradients)


def conversations(collator: Collator) -> list[TrainingExample]:
    """Make rows with two images of different sizes, one, none, and one of them twice."""
    small, wide = random_image(2, 56), random_image(3, 112)[:84]
    first = Turn("user", "How many blocks are there?", (wide,))
    answered = Turn("assistant", "<answer>3</answer>")
    prompts = [
        (first, answered, Turn("user", "And now?", (small,))),
        (Turn("user", "Where is it?", (small,)),),
        (Turn("user", "How far is it?"),),
        (Turn("user", "Which differs?", (small, small, wide)),),
    ]
    answer = collator.completion_ids("<answer>-12</answer>")
    return [TrainingExample(Prompt(str(k), turns), answer) for k, turns in enumerate(prompts)]


def test_rows_with_any_number_of_images_equal_each_row_alone(family_checkpoint: Path) -> None:
    collator = Collator(load_processor(str(family_checkpoint)))
    model = load_model(ModelConfig(path=str(family_checkpoint)))
    batch = conversations(collator)
    inputs = collator(batch)
    assert inputs.images_of_row == ((0, 1), (1,), (), (1, 1, 0))
    logprobs, _ = completion_logprobs(model, inputs, collator.banned_token_ids)
    for row, example in zip(logprobs, batch, strict=True):
        expected = plain_logprobs(family_checkpoint, example)
        torch.testing.assert_close(row, expected, atol=1e-5, rtol=0)
    for example in batch:
        assert collator.prompt_length(example.prompt) == len(collator.prompt_ids(example.prompt))


def test_rows_without_images_give_the_vision_tower_zero_gradients(family_checkpoint: Path) -> None:
    collator = Collator(load_processor(str(family_checkpoint)))
    model = load_model(ModelConfig(path=str(family_checkpoint)))
    batch = conversations(collator)[2:3]
    logprobs, _ = completion_logprobs(model, collator(batch), collator.banned_token_ids)
    expected = plain_logprobs(family_checkpoint, batch[0])
    torch.testing.assert_close(logprobs[0], expected, atol=1e-5, rtol=0)
    logprobs.sum().backward()
    vision = [weight.grad for name, weight in model.named_parameters() if "visual" in name]
    assert all(gradient is not None and not gradient.any() for gradient in vision)


def shared(batch: list[TrainingExample], collator: Collator) -> list[TrainingExample]:
    """Make two completions of different lengths for each prompt."""
    texts = ("<answer>-120 50</answer>", "No")
    answers = [collator.completion_ids(text) for text in texts]
    return [TrainingExample(one.prompt, answer) for one in batch for answer in answers]


def test_completions_that_share_a_prompt_equal_each_alone(family_checkpoint: Path) -> None:
    collator = Collator(load_processor(str(family_checkpoint)))
    model = load_model(ModelConfig(path=str(family_checkpoint)))
    batch = shared(conversations(collator), collator)
    inputs = collator(batch)
    assert len(inputs.input_ids) == 4
    logprobs, _ = completion_logprobs(model, inputs, collator.banned_token_ids)
    for row, example in zip(logprobs, batch, strict=True):
        count = len(example.completion_ids)
        expected = plain_logprobs(family_checkpoint, example)
        torch.testing.assert_close(row[:count], expected, atol=1e-5, rtol=0)
        assert not row[count:].any()


def test_gradients_through_a_shared_prompt_equal_those_of_rows_alone(
    family_checkpoint: Path,
) -> None:
    collator = Collator(load_processor(str(family_checkpoint)))
    batch = shared(conversations(collator)[:2], collator)
    weights = torch.linspace(-1, 1, len(batch))
    gradients = []
    for parts in ([batch], [[example] for example in batch]):
        model = load_model(ModelConfig(path=str(family_checkpoint)))
        sums = [
            completion_logprobs(model, collator(part), collator.banned_token_ids)[0].sum(dim=1)
            for part in parts
        ]
        (torch.cat(sums) * weights).sum().backward()
        gradients.append({name: weight.grad for name, weight in model.named_parameters()})
    together, alone = gradients
    for name, gradient in together.items():
        torch.testing.assert_close(gradient, alone[name], atol=2e-5, rtol=1e-4)
