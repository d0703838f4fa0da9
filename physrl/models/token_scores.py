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
"""Tokens whose logits are held at once under a head that is not plainly linear."""


def token_scores(
    head: Any, states: Tensor, tokens: Tensor, banned: Sequence[int], temperature: float
) -> tuple[Tensor, Tensor]:
    """Log-probability and entropy of each token under the head's softmax.

    A plain linear head, tied to the embedding or not, is computed in tiles of logits
    (`linear_scores`). Any other (with adapters, quantised) is called as it is, `ROWS` tokens at a
    time, and once more in the backward pass.

    Args:
        head: from states (n x H) to logits (n x V).
        states: N x H, each the state before its token.
        tokens: N; a banned one has the log-probability -inf.
        banned: ids that the sampler could not choose.
        temperature: what the logits are divided by.

    Returns:
        Two tensors of N, in float32 or better; gradients flow through both.

    Raises:
        ConfigError: ZeRO-3 has split a head that is not plainly linear.
    """
    # Quantised layers are subclasses.
    if type(head) is torch.nn.Linear:
        with _forward_replaced(
            head,
            lambda some: linear_scores(some, head.weight, head.bias, tokens, banned, temperature),
        ):
            scores: tuple[Tensor, Tensor] = head(states)
            return scores
    # Ranks with different numbers of tokens would gather it a different number of times.
    if any(hasattr(parameter, "ds_id") for parameter in head.parameters()):
        raise ConfigError(
            f"the output head is a {type(head).__name__}, which ZeRO-3 cannot split: set "
            "runtime.zero_stage=2"
        )
    parts = [
        checkpoint(_score, head, some, chosen, list(banned), temperature, use_reentrant=False)
        for some, chosen in zip(states.split(ROWS), tokens.split(ROWS), strict=True)
    ]
    logprobs, entropies = zip(*parts, strict=True)
    return torch.cat(logprobs), torch.cat(entropies)


@contextmanager
def _forward_replaced(module: Any, function: Callable[[Tensor], Any]) -> Iterator[None]:
    """Meanwhile a call of the module is a call of the function, between the module's hooks.

    ZeRO-3's hooks gather the head's weight for both passes. They do so once a pass, whatever the
    number of tokens: calling the head once a chunk would let ranks with different numbers of
    chunks wait for each other for ever.
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
    # Finite: an entropy's 0 x log 0 stays 0, and so does its gradient.
    normal = logits.index_fill(1, ids, BANNED).log_softmax(dim=-1)
    logprobs = normal.gather(1, tokens[:, None])[:, 0]
    entropies = -(normal.exp() * normal).sum(dim=-1)
    return logprobs.masked_fill(torch.isin(tokens, ids), -torch.inf), entropies
