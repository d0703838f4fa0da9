"""The learner: updates of one rank's model."""

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from physrl.algorithms.guard import Guard
from physrl.algorithms.loss import LossInputs
from physrl.algorithms.metrics import average, combine
from physrl.algorithms.micro_batch import MicroBatch, MicroBatcher
from physrl.algorithms.registry import make_loss
from physrl.algorithms.schedule import learning_rate
from physrl.algorithms.strategy import Samples, make_strategy
from physrl.config.run import RunConfig
from physrl.data.collate import Collator, ModelInputs
from physrl.models.engine import Engine
from physrl.models.logprobs import completion_logprobs
from physrl.models.reference import make_reference
from physrl.training_records import TrainingExample
from physrl.types import Metrics


class Learner:
    """Applies an algorithm's updates to the model of one engine.

    To be made before a saved state is loaded: the reference of a KL term is what training starts
    from.
    """

    def __init__(self, engine: Engine, collator: Collator, config: RunConfig) -> None:
        self._engine = engine
        self._collator = collator
        self._config = config
        self._loss = make_loss(config.algorithm)
        self._strategy = make_strategy(config, collator)
        self._micro_batches = MicroBatcher(engine, collator, config)
        self._guard = Guard()
        self._reference = make_reference(config, engine)

    def update(self, samples: Samples, step: int) -> Metrics:
        """Take the optimizer updates of one step; every rank is given all samples.

        Returns:
            This rank's share of each metric, for `combine`.

        Raises:
            GenerationError: a prompt is longer than `model.max_prompt_tokens`, or a completion
                than `model.max_completion_tokens`.
            DivergedError: several updates in a row had a non-finite loss or gradient.
        """
        examples = self._strategy.training_batch(samples).examples
        updates = self._config.algorithm.updates_per_rollout
        parts = [examples[part::updates] for part in range(updates)]
        counted = self._strategy.counted_tokens
        prepared = [list(self._micro_batches(part, counted)) for part in parts]
        olds = self._old_logprobs(prepared)
        applied = []
        for index, (part, old) in enumerate(zip(prepared, olds, strict=True)):
            lr = learning_rate(self._config.algorithm, step * updates + index)
            metrics = self._one_update(part, old, parts[index], lr)
            if self._guard.applied(metrics["grad_norm"], metrics["loss"], step):
                applied.append(metrics)
        if self._reference is not None:
            self._reference.follow(step + 1)
        return average(applied) | self._counts(examples, applied=len(applied))

    def save_reference(self, folder: Path) -> None:
        """Write the reference policy if steps change it: the run's start does not give it."""
        if self._reference is not None:
            self._reference.save(folder)

    def load_reference(self, folder: Path) -> None:
        """Read what `save_reference` wrote, if it wrote something."""
        if self._reference is not None:
            self._reference.load(folder)

    def score(self, examples: Sequence[TrainingExample]) -> list[list[float]]:
        """Compute each example's completion log-probabilities on this rank, as the sampler does."""
        inputs = self._collator(examples).to(next(self._engine.model.parameters()).device)
        with torch.no_grad():
            logprobs, _ = self._forward(inputs, self._config.temperature)
        return [
            row[: len(example.completion_ids)].tolist()
            for row, example in zip(logprobs, examples, strict=True)
        ]

    def _old_logprobs(
        self, parts: Sequence[Sequence[MicroBatch]]
    ) -> Sequence[Sequence[Tensor | None]]:
        """Score under the policy before the first update; None where that is the current one."""
        if not self._strategy.needs_old_logprobs or len(parts) == 1:
            return [[None] * len(part) for part in parts]
        return [[self._score(micro_batch) for micro_batch in part] for part in parts]

    def _one_update(
        self,
        micro_batches: Sequence[MicroBatch],
        old_logprobs: Sequence[Tensor | None],
        examples: Sequence[TrainingExample],
        lr: float,
    ) -> Metrics:
        """Accumulate the gradients of all micro-batches, then take an optimizer step."""
        shares = []
        tokens = max(1, sum(self._strategy.counted_tokens(e) * e.weight for e in examples))
        for index, (micro_batch, old) in enumerate(zip(micro_batches, old_logprobs, strict=True)):
            logprobs, entropy = self._forward(micro_batch.inputs, self._strategy.temperature)
            old = logprobs.detach() if old is None else old
            advantages = [example.advantage for example in micro_batch.examples]
            inputs = LossInputs(
                logprobs=logprobs,
                old_logprobs=old,
                entropy=entropy,
                mask=micro_batch.mask,
                advantages=torch.tensor(advantages, device=logprobs.device),
                importance=self._strategy.importance(old, micro_batch),
                ref_logprobs=self._reference_logprobs(micro_batch),
                sequences=len(examples),
                tokens=tokens,
                max_length=self._config.model.max_completion_tokens,
            )
            loss, share = self._loss(inputs)
            # Engines average gradients over ranks; a share's denominator already counts them all.
            self._engine.backward(
                poison_nonfinite(loss, logprobs) * self._engine.world_size,
                last=index == len(micro_batches) - 1,
            )
            share |= {"loss": loss} | self._strategy.metrics(inputs, micro_batch)
            shares.append({name: value.item() for name, value in share.items()})
        norm = self._engine.step(lr)
        return combine(shares) | {
            "grad_norm": norm / self._engine.world_size,
            "learning_rate": lr / self._engine.world_size,
        }

    def _counts(self, examples: Sequence[TrainingExample], applied: int) -> Metrics:
        """Count what the step trained on; prompts and completions count as tokens."""
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

    def _forward(self, inputs: ModelInputs, temperature: float) -> tuple[Tensor, Tensor]:
        banned = self._collator.banned_token_ids
        return completion_logprobs(self._engine.model, inputs, banned, temperature)

    def _score(self, micro_batch: MicroBatch) -> Tensor:
        with torch.no_grad():
            return self._forward(micro_batch.inputs, self._strategy.temperature)[0]

    def _reference_logprobs(self, micro_batch: MicroBatch) -> Tensor | None:
        """Score under the reference policy."""
        if self._reference is None:
            return None
        with self._reference.active():
            return self._score(micro_batch)


def poison_nonfinite(loss: Tensor, logprobs: Tensor) -> Tensor:
    """Return the loss, or if it is not finite one whose gradient is NaN throughout.

    An infinite loss may have a finite gradient, which the other ranks would apply.
    """
    return loss if loss.isfinite() else logprobs.sum() * math.nan
