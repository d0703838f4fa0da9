"""Log-probability and entropy of tokens under any output head, in bounded memory."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from physrl.errors import ConfigError
from physrl.models.linear_scores import BANNED, linear_scores

ROWS = 256
"""Number of tokens per chunk under a head that is not a plain linear layer."""


def token_scores(
    head: Any, states: Tensor, tokens: Tensor, banned: Sequence[int], temperature: float
) -> tuple[Tensor, Tensor]:
    """Compute each token's log-probability and entropy under the head's softmax.

    A plain linear head, tied to the embedding or not, is computed in tiles of logits
    (`linear_scores`). Any other (with adapters, quantized) is called with `ROWS` tokens at a time,
    and again in the backward pass.

    Args:
        head: a module from states (n x H) to logits (n x V).
        states: N x H, each the state before its token.
        tokens: N; a banned one has the log-probability -inf.
        banned: token ids that cannot be sampled.
        temperature: divisor of the logits.

    Returns:
        Two tensors of N, in float32 or better; gradients flow through both.

    Raises:
        ConfigError: ZeRO-3 has partitioned a head that is not a plain linear layer.
    """
    # Quantized layers are subclasses.
    if type(head) is torch.nn.Linear:
        with _forward_replaced(
            head,
            lambda each: linear_scores(each, head.weight, head.bias, tokens, banned, temperature),
        ):
            scores: tuple[Tensor, Tensor] = head(states)
            return scores
    # Ranks with different numbers of chunks would gather it a different number of times.
    if any(hasattr(parameter, "ds_id") for parameter in head.parameters()):
        raise ConfigError(
            f"runtime.zero_stage is 3 but the output head is a {type(head).__name__}, which cannot "
            "be partitioned: set runtime.zero_stage=2"
        )
    parts = [
        checkpoint(_score, head, *chunk, list(banned), temperature, use_reentrant=False)
        for chunk in zip(states.split(ROWS), tokens.split(ROWS), strict=True)
    ]
    logprobs, entropies = zip(*parts, strict=True)
    return torch.cat(logprobs), torch.cat(entropies)


@contextmanager
def _forward_replaced(module: Any, function: Callable[[Tensor], Any]) -> Iterator[None]:
    """Make a call of the module a call of the function within the block, between its hooks.

    ZeRO-3's hooks gather the head's weight for both passes, once per call. If the head were called
    per chunk, ranks with different numbers of chunks would deadlock.
    """
    module.forward = function
    try:
        yield
    finally:
        del module.forward


def _score(
    head: Any, states: Tensor, tokens: Tensor, banned: list[int], temperature: float
) -> tuple[Tensor, Tensor]:
    logits = head(states)
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32)) / temperature
    ids = torch.tensor(banned, dtype=torch.long, device=logits.device)
    # Finite, so that an entropy's 0 x log 0 and its gradient are 0.
    normal = logits.index_fill(1, ids, BANNED).log_softmax(dim=-1)
    logprobs = normal.gather(1, tokens[:, None])[:, 0]
    entropies = -(normal.exp() * normal).sum(dim=-1)
    return logprobs.masked_fill(torch.isin(tokens, ids), -torch.inf), entropies
