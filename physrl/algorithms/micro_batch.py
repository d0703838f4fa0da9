"""Division of an update's examples over ranks and micro-batches."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from physrl.algorithms.packing import pack
from physrl.config.run import RunConfig
from physrl.data.collate import Collator, ModelInputs
from physrl.data.rows import share_rows
from physrl.errors import GenerationError
from physrl.models.engine import Engine
from physrl.training_records import TrainingExample


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """B examples of one forward pass, with completions of up to C tokens."""

    examples: Sequence[TrainingExample]
    inputs: ModelInputs
    mask: Tensor
    """B x C: weight of each token in the loss; 0 in the padding."""
    sampling_logprobs: Tensor | None
    """B x C, from the sampler; None where the examples have none."""


class MicroBatcher:
    """Divides an update's examples over ranks, and this rank's over micro-batches."""

    def __init__(self, engine: Engine, collator: Collator, config: RunConfig) -> None:
        self._rank, self._ranks = engine.rank, engine.world_size
        self._device = next(engine.model.parameters()).device
        self._collator = collator
        self._model = config.model
        self._budget = config.runtime.tokens_per_micro_batch

    def __call__(
        self,
        examples: Sequence[TrainingExample],
        counted_tokens: Callable[[TrainingExample], int],
    ) -> Iterator[MicroBatch]:
        """Yield this rank's micro-batches: as many as every other rank has.

        Args:
            examples: those of all ranks, at least one. Their number need not be divisible by that
                of the ranks.
            counted_tokens: number of an example's completion tokens that enter the loss.

        Raises:
            GenerationError: a prompt or a completion is longer than the configured maximum.
        """
        examples = _by_prompt(examples)
        most = -(-len(examples) // self._ranks)
        rows = share_rows(examples, self._collator.prompt_length, most)
        lengths = self._lengths(examples, rows)
        images = [tuple(map(id, examples[row[0]].prompt.images)) for row in rows]
        packed = pack(lengths, images, self._ranks, self._budget)
        mine = packed[self._rank]
        for chosen in mine:
            part = [examples[number] for row in chosen for number in rows[row]]
            yield self._collate(part, [counted_tokens(each) for each in part])
        # Ranks wait for each other in every pass, so a rank with fewer takes part without a loss.
        shortest = examples[rows[lengths.index(min(lengths))][0]]
        idle = replace(shortest, advantage=0.0, sampling_logprobs=())
        for _ in range(max(map(len, packed)) - len(mine)):
            yield self._collate([idle], [0])

    def _lengths(
        self, examples: Sequence[TrainingExample], rows: Sequence[Sequence[int]]
    ) -> list[int]:
        """Count the tokens of each row: a prompt and its completions."""
        prompts = [self._collator.prompt_length(examples[row[0]].prompt) for row in rows]
        completions = [[len(examples[number].completion_ids) for number in row] for row in rows]
        for kind, longest in (("prompt", max(prompts)), ("completion", max(map(max, completions)))):
            key = f"max_{kind}_tokens"
            limit = getattr(self._model, key)
            if longest > limit:
                raise GenerationError(
                    f"a {kind} of {longest} tokens exceeds model.{key} = {limit}: raise it"
                )
        return [prompt + sum(row) for prompt, row in zip(prompts, completions, strict=True)]

    def _collate(self, examples: Sequence[TrainingExample], counted: Sequence[int]) -> MicroBatch:
        inputs = self._collator(examples).to(self._device)
        width = max(len(example.completion_ids) for example in examples)
        columns = torch.arange(width, device=self._device)
        weights = torch.tensor([example.weight for example in examples], device=self._device)
        mask = (columns < torch.tensor(counted, device=self._device)[:, None]) * weights[:, None]
        return MicroBatch(examples, inputs, mask, _sampling_logprobs(examples, mask))


def _by_prompt(examples: Sequence[TrainingExample]) -> list[TrainingExample]:
    """Sort examples so that those of one prompt are adjacent, prompts by first occurrence."""
    grouped: dict[int, list[TrainingExample]] = {}
    for example in examples:
        grouped.setdefault(id(example.prompt), []).append(example)
    return [example for group in grouped.values() for example in group]


def _sampling_logprobs(examples: Sequence[TrainingExample], mask: Tensor) -> Tensor | None:
    if not examples[0].sampling_logprobs:
        return None
    width = mask.shape[1]
    values = [
        [*one.sampling_logprobs, *[0.0] * (width - len(one.sampling_logprobs))] for one in examples
    ]
    return torch.tensor(values, dtype=mask.dtype, device=mask.device)
