"""Interventions on the hidden state in which a Qwen-VL model decides between two answers.

The deciding token is the last one that both answers share, or the prompt's last: the state after a
layer predicts the first token in which they differ, by way of the layers that follow. Plain forward
hooks suffice, and do not depend on a library's knowledge of the architecture.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from physrl.data.collate import Collator, ModelInputs
from physrl.models.activations import ROWS, language_layers
from physrl.models.engine import evaluating
from physrl.models.logprobs import completion_logprobs, core
from physrl.training_records import TrainingExample
from physrl.types import Prompt

States = NDArray[np.float32]
"""Hidden states of deciding tokens, choices x width."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A prompt, and the token ids of two different answers to it."""

    prompt: Prompt
    first: tuple[int, ...]
    second: tuple[int, ...]

    @property
    def shared(self) -> int:
        """Number of tokens that both answers begin with."""
        both = zip(self.first, self.second, strict=False)
        return sum(1 for _ in takewhile(lambda tokens: tokens[0] == tokens[1], both))


@dataclass(frozen=True, slots=True)
class Replacement:
    """States that take the place of those after a layer, one for each choice."""

    layer: str
    """Name of a language layer: `language.0` ..."""
    states: States


@dataclass(frozen=True, slots=True)
class _Batch:
    """Choices in a forward pass, each with two completions."""

    inputs: ModelInputs
    shared: tuple[int, ...]
    """Tokens that both answers of each choice share."""
    rows: Tensor
    columns: Tensor
    """Places of the deciding token of each completion."""


def log_odds(
    model: Any,
    collator: Collator,
    choices: Sequence[Choice],
    replacement: Replacement | None = None,
) -> NDArray[np.float64]:
    """Compute the log-odds of the first answer of each choice against the second.

    They are those of the first tokens in which the two differ, which the deciding state predicts.
    """
    found = []
    with evaluating(model), torch.no_grad():
        for start in range(0, len(choices), ROWS):
            batch = _collate(model, collator, choices[start : start + ROWS])
            changed = (
                nullcontext()
                if replacement is None
                else _replaced(model, batch, replacement, replacement.states[start:][:ROWS])
            )
            with changed:
                logprobs, _ = completion_logprobs(model, batch.inputs, collator.banned_token_ids)
            for place, shared in enumerate(batch.shared):
                first, second = (float(logprobs[2 * place + n, shared]) for n in (0, 1))
                found.append(first - second)
    return np.array(found, np.float64)


def deciding_states(model: Any, collator: Collator, choices: Sequence[Choice]) -> dict[str, States]:
    """Collect the states of deciding tokens after each language layer, in order."""
    taken: dict[str, list[States]] = {}
    with evaluating(model), torch.no_grad():
        for start in range(0, len(choices), ROWS):
            batch = _collate(model, collator, choices[start : start + ROWS])
            with _recorded(model, batch) as states:
                completion_logprobs(model, batch.inputs, collator.banned_token_ids)
            for layer, values in states.items():
                taken.setdefault(layer, []).append(values[::2].float().cpu().numpy())
    return {layer: np.concatenate(parts) for layer, parts in taken.items()}


def _collate(model: Any, collator: Collator, choices: Sequence[Choice]) -> _Batch:
    examples = [
        TrainingExample(choice.prompt, answer)
        for choice in choices
        for answer in (choice.first, choice.second)
    ]
    inputs = collator(examples).to(next(core(model).parameters()).device)
    begins = inputs.completion_mask.clone()
    begins[:, 1:] &= inputs.segments[:, 1:] != inputs.segments[:, :-1]
    rows, columns = begins.nonzero(as_tuple=True)
    shared = tuple(choice.shared for choice in choices)
    lengths = torch.tensor(shared, device=rows.device).repeat_interleave(2)
    # Without a shared token it is the prompt's last, in front of the row's first completion.
    before = columns - 1 - inputs.skipped[rows, columns]
    return _Batch(inputs, shared, rows, torch.where(lengths > 0, columns + lengths - 1, before))


@contextmanager
def _replaced(
    model: Any, batch: _Batch, replacement: Replacement, states: States
) -> Iterator[None]:
    def hook(module: Any, arguments: Any, output: Any) -> Any:
        hidden = (output[0] if isinstance(output, tuple) else output).clone()
        given = torch.from_numpy(np.repeat(states, 2, axis=0)).to(hidden)
        hidden[batch.rows, batch.columns] = given
        return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

    handle = dict(language_layers(model))[replacement.layer].register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def _recorded(model: Any, batch: _Batch) -> Iterator[dict[str, Tensor]]:
    states: dict[str, Tensor] = {}

    def record(layer: str) -> Any:
        def hook(module: Any, arguments: Any, output: Any) -> None:
            hidden = output[0] if isinstance(output, tuple) else output
            states[layer] = hidden[batch.rows, batch.columns]

        return hook

    handles = [
        module.register_forward_hook(record(layer)) for layer, module in language_layers(model)
    ]
    try:
        yield states
    finally:
        for handle in handles:
            handle.remove()
