"""The reference generator: completions by transformers' own generation."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from transformers import GenerationConfig

from physrl.data.collate import Collator, ModelInputs
from physrl.models.engine import evaluating
from physrl.models.logprobs import completion_logprobs, core
from physrl.protocols import Sampling, prompt_seed
from physrl.training_records import TrainingExample
from physrl.types import Completion, Generation, Prompt


class TransformersGenerator:
    """A generator that samples from a model in this process and scores the samples."""

    def __init__(self, model: Any, processor: Any) -> None:
        self._model = model
        self._tokenizer = processor.tokenizer
        self._collator = Collator(processor)
        self.policy_version = 0

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Generation]:
        """Sample a group of completions for each prompt; as reproducible as `Sampling` says.

        Raises:
            ValueError: the completions are to be constrained, or choices to be measured.
        """
        if sampling.pattern is not None or sampling.choices:
            raise ValueError("pattern and choices need an inference server")
        with evaluating(self._model):
            return [self._group(prompt, sampling) for prompt in prompts]

    def _group(self, prompt: Prompt, sampling: Sampling) -> Generation:
        prompt_ids = self._collator.prompt_ids(prompt)
        torch.manual_seed(prompt_seed(prompt.prompt_id, sampling))
        # Collation needs a completion; its one token is removed again.
        row = TrainingExample(prompt, (self._collator.eos_token_id,))
        inputs = self._collator([row])
        sampled = core(self._model).generate(
            input_ids=inputs.input_ids[:, :-1],
            attention_mask=inputs.attention_mask[:, :-1],
            mm_token_type_ids=inputs.mm_token_type_ids[:, :-1],
            **_images(inputs),
            generation_config=self._generation_config(sampling),
        )
        rows = [self._cut(ids.tolist()) for ids in sampled[:, len(prompt_ids) :]]
        examples = [replace(row, completion_ids=ids) for ids in rows]
        with torch.no_grad():
            logprobs, _ = completion_logprobs(
                self._model,
                self._collator(examples),
                self._collator.banned_token_ids,
                sampling.temperature or 1.0,
            )
        completions = tuple(
            Completion(
                text=self._tokenizer.decode(ids, skip_special_tokens=True),
                token_ids=ids,
                logprobs=tuple(values[: len(ids)].tolist()),
                truncated=ids[-1] != self._collator.eos_token_id,
                policy_version=self.policy_version,
            )
            for ids, values in zip(rows, logprobs, strict=True)
        )
        return Generation(prompt_ids, completions)

    def _generation_config(self, sampling: Sampling) -> GenerationConfig:
        """Make the configuration: a checkpoint's own may have penalties unknown to the learner."""
        greedy = sampling.temperature == 0
        return GenerationConfig(
            do_sample=not greedy,
            temperature=None if greedy else sampling.temperature,
            top_k=None if greedy else 0,
            top_p=1.0,
            min_p=None if greedy or not sampling.min_p else sampling.min_p,
            num_return_sequences=sampling.group_size,
            max_new_tokens=sampling.max_tokens,
            suppress_tokens=list(self._collator.banned_token_ids),
            eos_token_id=self._collator.eos_token_id,
            pad_token_id=self._tokenizer.pad_token_id,
        )

    def _cut(self, ids: list[int]) -> tuple[int, ...]:
        """Cut the padding after the first end-of-turn token."""
        eos = self._collator.eos_token_id
        return tuple(ids[: ids.index(eos) + 1] if eos in ids else ids)


def _images(inputs: ModelInputs) -> dict[str, Any]:
    """Select the patches of the only row's images, in the row's order."""
    (shown,) = inputs.images_of_row
    if not shown:
        return {}
    patches = inputs.pixel_values.split(inputs.image_grid_thw.prod(dim=1).tolist())
    return {
        "pixel_values": torch.cat([patches[place] for place in shown]),
        "image_grid_thw": inputs.image_grid_thw[list(shown)],
    }
