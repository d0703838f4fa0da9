"""Log-probabilities and entropies under a linear output head, one tile of logits at a time.

A tile is a block of tokens x vocabulary. The softmax's sums run over a row's tiles with a
running maximum (Milakov and Gimelshein 2018, arXiv 1805.02867), and a tile is turned into a
gradient in place, so that no N x V tensor ever exists.

    l_v = (states . W_v + bias_v) / temperature,   p = softmax(l),   H = -sum_v p_v log p_v
    d log p_y / d l_v = [v = y] - p_v
    d H       / d l_v = -p_v (log p_v + H)
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

BANNED = -1e30
"""Logit of a banned token: zero probability, but finite, so that 0 x log 0 is 0."""


@dataclass(frozen=True, slots=True)
class _Tiling:
    rows: int
    elements: int

    def columns(self, rows: int) -> int:
        return max(1, self.elements // rows)


# On a CPU a tile and its exponentials fit in the cache; on a GPU few large kernels are fast.
_CPU = _Tiling(rows=4096, elements=1 << 22)
_CUDA = _Tiling(rows=4096, elements=1 << 25)


@dataclass(frozen=True, slots=True)
class _Head:
    """A linear output head whose logits are computed by tile."""

    weight: Tensor
    bias: Tensor | None
    banned: Sequence[int]
    temperature: float
    dtype: torch.dtype
    """Type of logits and sums, at least float32."""

    def operand(self, values: Tensor) -> Tensor:
        """Convert an operand of a matrix product: only GPUs sum bfloat16 products in float32."""
        return values if values.is_cuda else values.to(self.dtype)

    def logits(self, states: Tensor, weight: Tensor, columns: slice, out: Tensor) -> Tensor:
        """Write the tile of these states and the vocabulary's `columns` to `out`."""
        _product(states, weight.t(), out)
        if self.bias is not None:
            out.add_(self.bias[columns])
        if self.temperature != 1:
            out.div_(self.temperature)
        for token in self.banned:
            if columns.start <= token < columns.stop:
                out[:, token - columns.start] = BANNED
        return out


def linear_scores(
    states: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    tokens: Tensor,
    banned: Sequence[int] = (),
    temperature: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Compute each token's log-probability and entropy under softmax(states . weight + bias).

    Under a frozen head the forward pass, which has the logits, computes the log-probabilities'
    gradient too: two matrix products instead of the four under a trained head. A gradient through
    the entropies recomputes the logits.

    Args:
        states: N x H.
        weight: V x H.
        bias: V.
        tokens: N; a banned one has the log-probability -inf.
        banned: token ids with zero probability.
        temperature: divisor of the logits.

    Returns:
        Two tensors of N, in float32 or better; gradients flow through both.
    """
    trained = weight.requires_grad or (bias is not None and bias.requires_grad)
    ahead = torch.is_grad_enabled() and states.requires_grad and not trained
    logprobs, entropies = _LinearScores.apply(
        states, weight, bias, tokens, tuple(banned), temperature, ahead
    )
    if banned:
        forbidden = torch.isin(tokens, torch.tensor(tuple(banned), device=tokens.device))
        logprobs = logprobs.masked_fill(forbidden, -torch.inf)
    return logprobs, entropies


class _LinearScores(torch.autograd.Function):
    """The function `linear_scores` with its gradient."""

    @staticmethod
    def forward(
        ctx: Any,
        states: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        tokens: Tensor,
        banned: Sequence[int],
        temperature: float,
        ahead: bool,
    ) -> tuple[Tensor, Tensor]:
        # An entropy that no loss uses has no gradient and costs no backward pass.
        ctx.set_materialize_grads(False)
        dtype = torch.promote_types(states.dtype, torch.float32)
        head = _Head(weight, bias, banned, temperature, dtype)
        logprobs, log_sums, entropies = (
            torch.empty(len(tokens), dtype=dtype, device=states.device) for _ in range(3)
        )
        slopes = torch.empty_like(states) if ahead else None
        for rows in _slices(len(tokens), _tiling(states).rows):
            part = _score_rows(head, states[rows], tokens[rows], ahead)
            logprobs[rows], log_sums[rows], entropies[rows] = part[:3]
            if slopes is not None:
                slopes[rows] = part[3]
        ctx.banned, ctx.temperature = banned, temperature
        ctx.save_for_backward(states, weight, bias, tokens, log_sums, entropies, slopes)
        return logprobs, entropies

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad_logprobs: Tensor | None, grad_entropies: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        states, weight, bias, tokens, log_sums, entropies, slopes = ctx.saved_tensors
        if grad_logprobs is None:
            grad_logprobs = torch.zeros_like(log_sums)
        if slopes is not None and grad_entropies is None:
            return (slopes * grad_logprobs[:, None]).to(states.dtype), *[None] * 6
        head = _Head(weight, bias, ctx.banned, ctx.temperature, log_sums.dtype)
        known = _Known(states, tokens, log_sums, entropies, grad_logprobs, grad_entropies)
        return *_gradients(head, known, *ctx.needs_input_grad[:3]), *[None] * 4


def _score_rows(
    head: _Head, states: Tensor, tokens: Tensor, ahead: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Compute log-probability, log of the softmax's sum, entropy, d log-probability / d states."""
    count, width = len(tokens), _tiling(states).columns(len(tokens))
    start = states.new_zeros(count, dtype=head.dtype)
    maximum = torch.full_like(start, torch.finfo(head.dtype).min)
    # Sums over all but the scored token, so that 1 - p keeps its digits where p is almost 1.
    others, weighted, target = start, start.clone(), start.clone()
    slopes = torch.zeros_like(states, dtype=head.dtype) if ahead else None
    tile, scratch = _buffers(count * min(width, len(head.weight)), states, head.dtype)
    some = head.operand(states)
    for columns in _slices(len(head.weight), width):
        part = head.operand(head.weight[columns])
        shape = (count, len(part))
        logits = head.logits(some, part, columns, _view(tile, shape))
        place, inside = _place(tokens, columns)
        target = torch.where(inside, logits.gather(1, place)[:, 0], target)
        previous, maximum = maximum, torch.maximum(maximum, logits.amax(dim=1))
        shift = (previous - maximum).clamp(min=BANNED)
        scale = shift.exp()
        powers = torch.exp(logits.sub_(maximum[:, None]), out=_view(scratch, shape))
        powers.scatter_(1, place, torch.where(inside, 0, powers.gather(1, place)[:, 0])[:, None])
        weighted = (weighted + others * shift) * scale + logits.mul_(powers).sum(dim=1)
        others = others * scale + powers.sum(dim=1)
        if slopes is not None:
            _add_product(slopes.mul_(scale[:, None]), powers.to(part.dtype), part)
    distance = target - maximum
    own = distance.exp()
    total = others + own
    logprobs = -torch.logaddexp(others.log() - distance, torch.zeros_like(own))
    entropies = total.log() - (weighted + own * distance) / total
    if slopes is not None:
        chosen = head.weight[tokens].to(head.dtype)
        slopes = chosen.mul_(others[:, None]).sub_(slopes).div_(total[:, None] * head.temperature)
    return logprobs, maximum + total.log(), entropies, slopes


@dataclass(frozen=True, slots=True)
class _Known:
    """Values of N tokens that the backward pass has before it recomputes their logits."""

    states: Tensor
    tokens: Tensor
    log_sums: Tensor
    entropies: Tensor
    grad_logprobs: Tensor
    grad_entropies: Tensor | None


def _gradients(
    head: _Head, known: _Known, for_states: bool, for_weight: bool, for_bias: bool
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Compute the requested gradients: of the states, the weight and the bias."""
    states, count = known.states, len(known.tokens)
    grad_states = torch.zeros_like(states, dtype=head.dtype) if for_states else None
    grad_weight = torch.empty_like(head.weight) if for_weight else None
    grad_bias = torch.empty_like(head.bias) if for_bias else None
    height = min(count, _tiling(states).rows)
    width = min(_tiling(states).columns(height), len(head.weight))
    tile, scratch = _buffers(height * width, states, head.dtype)
    for columns in _slices(len(head.weight), width):
        part = head.operand(head.weight[columns])
        weight_sum = torch.zeros_like(part, dtype=head.dtype)
        bias_sum = part.new_zeros(len(part), dtype=head.dtype)
        for rows in _slices(count, height):
            shape = (rows.stop - rows.start, len(part))
            some = head.operand(states[rows])
            slope = head.logits(some, part, columns, _view(tile, shape))
            _to_logit_gradient(slope, _view(scratch, shape), known, rows, columns)
            slope.div_(head.temperature)
            factor = slope.to(part.dtype)
            if grad_states is not None:
                _add_product(grad_states[rows], factor, part)
            if grad_weight is not None:
                _add_product(weight_sum, factor.t(), some)
            if grad_bias is not None:
                bias_sum += slope.sum(dim=0)
        if grad_weight is not None:
            grad_weight[columns] = weight_sum
        if grad_bias is not None:
            grad_bias[columns] = bias_sum
    return None if grad_states is None else grad_states.to(states.dtype), grad_weight, grad_bias


def _to_logit_gradient(
    tile: Tensor, scratch: Tensor, known: _Known, rows: slice, columns: slice
) -> None:
    """Turn a tile of logits into d loss / d logits, in place."""
    grad_logprobs = known.grad_logprobs[rows, None]
    logprobs = tile.sub_(known.log_sums[rows, None])
    if known.grad_entropies is None:
        logprobs.exp_().mul_(-grad_logprobs)
    else:
        probabilities = torch.exp(logprobs, out=scratch)
        logprobs.add_(known.entropies[rows, None]).mul_(known.grad_entropies[rows, None])
        logprobs.add_(grad_logprobs).mul_(probabilities).neg_()
    place, inside = _place(known.tokens[rows], columns)
    tile.scatter_add_(1, place, torch.where(inside[:, None], grad_logprobs, 0))


def _place(tokens: Tensor, columns: slice) -> tuple[Tensor, Tensor]:
    """Locate each row's token in a tile (rows x 1) and mark the rows that have it (rows)."""
    local = tokens - columns.start
    width = columns.stop - columns.start
    return local.clamp(0, width - 1)[:, None], (local >= 0) & (local < width)


def _product(left: Tensor, right: Tensor, out: Tensor) -> None:
    """Write left @ right, summed in out's dtype."""
    if left.dtype == out.dtype:
        torch.mm(left, right, out=out)
    else:
        torch.mm(left, right, out_dtype=out.dtype, out=out)


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """Add left @ right, summed in total's dtype."""
    if left.dtype == total.dtype:
        total.addmm_(left, right)
    else:
        torch.addmm(total, left, right, out_dtype=total.dtype, out=total)


def _tiling(states: Tensor) -> _Tiling:
    return _CUDA if states.is_cuda else _CPU


def _buffers(elements: int, like: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    return tuple(torch.empty(elements, dtype=dtype, device=like.device) for _ in range(2))


def _view(buffer: Tensor, shape: tuple[int, int]) -> Tensor:
    return buffer[: shape[0] * shape[1]].view(shape)


def _slices(length: int, size: int) -> Iterator[slice]:
    for start in range(0, length, size):
        yield slice(start, min(start + size, length))
