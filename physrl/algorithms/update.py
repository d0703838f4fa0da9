"""One learner rank: batches in, better weights out."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from physrl.algorithms.guard import Guard
from physrl.algorithms.importance import importance_weights, sampling_metrics
from physrl.algorithms.loss import LossInputs
from physrl.algorithms.metrics import average, combine
from physrl.algorithms.packing import pack
from physrl.algorithms.registry import make_loss
from physrl.config.algorithm import AlgorithmConfig, RLConfig, SFTConfig
from physrl.config.run import RunConfig
from physrl.data.collate import Collator, ModelInputs
from physrl.data.rows import share_rows
from physrl.errors import GenerationError
from physrl.models.engine import Engine
from physrl.models.logprobs import completion_logprobs
from physrl.types import Metrics, TrainingBatch, TrainingExample


@dataclass(frozen=True, slots=True)
class _MicroBatch:
    examples: Sequence[TrainingExample]
    inputs: ModelInputs
    mask: Tensor
    sampling: Tensor | None


class Learner:
    """Applies an algorithm's updates to the model of one engine."""

    def __init__(self, engine: Engine, collator: Collator, config: RunConfig) -> None:
        self._engine = engine
        self._collator = collator
        self._config = config
        self._loss = make_loss(config.algorithm)
        self._guard = Guard()
        self._banned = collator.banned_token_ids
        self._device = next(engine.model.parameters()).device
        # Imitation fits the model itself, not what a sampler makes of it.
        imitates = isinstance(config.algorithm, SFTConfig)
        self._temperature = 1.0 if imitates else config.temperature

    def update(self, batch: TrainingBatch, step: int) -> Metrics:
        """The optimizer updates of one step; every rank is given the whole batch.

        Returns:
            This rank's share of each metric, for `combine`.

        Raises:
            GenerationError: a prompt is longer than `model.max_prompt_tokens`, or a completion
                than `model.max_completion_tokens`.
            DivergedError: several updates in a row had a loss or gradient that is not finite.
        """
        updates = self._config.algorithm.updates_per_rollout
        parts = [batch.examples[part::updates] for part in range(updates)]
        prepared = [list(self._micro_batches(part)) for part in parts]
        olds = self._old_logprobs(prepared)
        applied = []
        for index, (part, old) in enumerate(zip(prepared, olds, strict=True)):
            lr = learning_rate(self._config.algorithm, step * updates + index)
            metrics = self._one_update(part, old, parts[index], lr)
            if self._guard.applied(metrics["grad_norm"], metrics["loss"], step):
                applied.append(metrics)
        return average(applied) | self._counts(batch.examples, applied=len(applied))

    def score(self, examples: Sequence[TrainingExample]) -> list[list[float]]:
        """Log-probabilities of each example's completion tokens, in this rank's alone."""
        inputs = self._collator(examples).to(self._device)
        with torch.no_grad():
            logprobs, _ = completion_logprobs(
                self._engine.model, inputs, self._banned, self._config.temperature
            )
        return [
            row[: len(example.completion_ids)].tolist()
            for row, example in zip(logprobs, examples, strict=True)
        ]

    def _old_logprobs(
        self, parts: Sequence[Sequence[_MicroBatch]]
    ) -> Sequence[Sequence[Tensor | None]]:
        """Under the policy before the first update; None where that is the one being trained."""
        imitates = isinstance(self._config.algorithm, SFTConfig)  # whose loss has no ratio
        if imitates or len(parts) == 1:
            return [[None] * len(part) for part in parts]
        return [[self._score(micro) for micro in part] for part in parts]

    def _one_update(
        self,
        micro_batches: Sequence[_MicroBatch],
        old_logprobs: Sequence[Tensor | None],
        examples: Sequence[TrainingExample],
        lr: float,
    ) -> Metrics:
        shares = []
        tokens = max(1, sum(self._counted_tokens(each) * each.weight for each in examples))
        for index, (micro, old) in enumerate(zip(micro_batches, old_logprobs, strict=True)):
            logprobs, entropy = completion_logprobs(
                self._engine.model, micro.inputs, self._banned, self._temperature
            )
            old = logprobs.detach() if old is None else old
            inputs = LossInputs(
                logprobs=logprobs,
                old_logprobs=old,
                entropy=entropy,
                mask=micro.mask,
                advantages=torch.tensor(
                    [example.advantage for example in micro.examples], device=self._device
                ),
                importance=self._importance(old, micro),
                ref_logprobs=self._reference(micro),
                sequences=len(examples),
                tokens=tokens,
                max_length=self._config.model.max_completion_tokens,
            )
            loss, share = self._loss(inputs)
            # Engines average gradients over ranks; a share's denominator already counts them all.
            self._engine.backward(
                spoiled_unless_finite(loss, logprobs) * self._engine.world_size,
                last=index == len(micro_batches) - 1,
            )
            share |= {"loss": loss}
            if micro.sampling is not None:
                share |= sampling_metrics(inputs, micro.sampling, self._policy_gradient())
            shares.append({name: value.item() for name, value in share.items()})
        norm = self._engine.step(lr)
        return combine(shares) | {
            "grad_norm": norm / self._engine.world_size,
            "learning_rate": lr / self._engine.world_size,
        }

    def _counts(self, examples: Sequence[TrainingExample], applied: int) -> Metrics:
        """What the step looked at, and its updates; prompts and completions count as tokens."""
        prompts = {id(example.prompt): example.prompt for example in examples}
        lengths = {key: self._collator.prompt_length(each) for key, each in prompts.items()}
        tokens = sum(lengths[id(each.prompt)] + len(each.completion_ids) for each in examples)
        counts = {
            "step/scenes": len({example.prompt.scene_id for example in examples}),
            "step/samples": len(examples),
            "step/tokens": tokens,
            "step/updates": applied,
            "guard/skipped_updates": self._config.algorithm.updates_per_rollout - applied,
        }
        return {name: count / self._engine.world_size for name, count in counts.items()}

    def _counted_tokens(self, example: TrainingExample) -> int:
        """Completion tokens that the loss counts."""
        return 0 if self._leaves_out(example) else len(example.completion_ids)

    def _leaves_out(self, example: TrainingExample) -> bool:
        algorithm = self._config.algorithm
        masks = not isinstance(algorithm, SFTConfig) and algorithm.mask_truncated
        return masks and example.truncated

    def _micro_batches(self, examples: Sequence[TrainingExample]) -> Iterator[_MicroBatch]:
        """This rank's part; as many micro-batches as any other rank has."""
        examples = _by_prompt(examples)
        ranks = self._engine.world_size
        rows = share_rows(examples, self._collator.prompt_length, most=-(-len(examples) // ranks))
        prompts = [self._collator.prompt_length(examples[row[0]].prompt) for row in rows]
        completions = [[len(examples[number].completion_ids) for number in row] for row in rows]
        model = self._config.model
        _refuse_longer(max(prompts), "prompt", "model.max_prompt_tokens", model.max_prompt_tokens)
        _refuse_longer(
            max(map(max, completions)),
            "completion",
            "model.max_completion_tokens",
            model.max_completion_tokens,
        )
        lengths = [prompt + sum(row) for prompt, row in zip(prompts, completions, strict=True)]
        pictures = [tuple(map(id, examples[row[0]].prompt.images)) for row in rows]
        packed = pack(lengths, pictures, ranks, self._config.runtime.tokens_per_micro_batch)
        mine = packed[self._engine.rank]
        for chosen in mine:
            part = [examples[number] for row in chosen for number in rows[row]]
            yield self._micro_batch(part, [self._counted_tokens(each) for each in part])
        # The others wait for this rank in each of their passes.
        shortest = examples[rows[lengths.index(min(lengths))][0]]
        idle = replace(shortest, advantage=0.0, sampling_logprobs=())
        for _ in range(max(map(len, packed)) - len(mine)):
            yield self._micro_batch([idle], [0])

    def _micro_batch(
        self, examples: Sequence[TrainingExample], counted: Sequence[int]
    ) -> _MicroBatch:
        """Rows of which so many completion tokens count."""
        inputs = self._collator(examples).to(self._device)
        width = max(len(example.completion_ids) for example in examples)
        columns = torch.arange(width, device=self._device)
        weights = torch.tensor([example.weight for example in examples], device=self._device)
        mask = (columns < torch.tensor(counted, device=self._device)[:, None]) * weights[:, None]
        return _MicroBatch(examples, inputs, mask, _sampling_logprobs(examples, mask))

    def _score(self, micro: _MicroBatch) -> Tensor:
        with torch.no_grad():
            return completion_logprobs(
                self._engine.model, micro.inputs, self._banned, self._temperature
            )[0]

    def _reference(self, micro: _MicroBatch) -> Tensor | None:
        """Log-probabilities of the base model: the adapters are switched off meanwhile."""
        algorithm = self._config.algorithm
        if isinstance(algorithm, SFTConfig) or algorithm.beta == 0:
            return None
        with self._engine.model.disable_adapter():
            return self._score(micro)

    def _importance(self, old: Tensor, micro: _MicroBatch) -> Tensor:
        """What corrects for the sampler's slightly different probabilities."""
        if micro.sampling is None:
            return micro.mask
        return importance_weights(old, micro.sampling, micro.mask, self._policy_gradient())

    def _policy_gradient(self) -> RLConfig:
        algorithm = self._config.algorithm
        assert not isinstance(algorithm, SFTConfig)  # its examples are not sampled
        return algorithm


def spoiled_unless_finite(loss: Tensor, logprobs: Tensor) -> Tensor:
    """The loss, or where it is not finite one whose whole gradient is NaN.

    An infinite loss may have a finite gradient, which would be applied on the other ranks.
    """
    return loss if loss.isfinite() else logprobs.sum() * math.nan


def learning_rate(config: AlgorithmConfig, update: int) -> float:
    """The rate of an update: linear warm-up, then the decay over what remains."""
    total = config.steps * config.updates_per_rollout
    warmup = config.warmup_fraction * total
    if update < warmup:
        return config.lr * (update + 1) / (warmup + 1)
    progress = min((update - warmup) / max(total - warmup, 1), 1.0)
    factors = {
        "cosine": 0.5 * (1 + math.cos(math.pi * progress)),
        "linear": 1 - progress,
        "constant": 1.0,
    }
    return config.lr * factors[config.decay]


def _by_prompt(examples: Sequence[TrainingExample]) -> list[TrainingExample]:
    """Those of one prompt next to each other, in the order in which prompts first occur."""
    grouped: dict[int, list[TrainingExample]] = {}
    for example in examples:
        grouped.setdefault(id(example.prompt), []).append(example)
    return [example for group in grouped.values() for example in group]


def _refuse_longer(length: int, what: str, key: str, limit: int) -> None:
    if length > limit:
        raise GenerationError(f"a {what} of {length} tokens exceeds {key} = {limit}: raise it")


def _sampling_logprobs(examples: Sequence[TrainingExample], mask: Tensor) -> Tensor | None:
    if not examples[0].sampling_logprobs:
        return None
    width = mask.shape[1]
    values = [
        [*one.sampling_logprobs, *[0.0] * (width - len(one.sampling_logprobs))] for one in examples
    ]
    return torch.tensor(values, dtype=mask.dtype, device=mask.device)
