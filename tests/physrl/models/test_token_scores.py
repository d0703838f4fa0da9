"""Tiled log-probabilities and entropies against the whole softmax."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from physrl.errors import ConfigError
from physrl.models import linear_scores as tiles
from physrl.models import token_scores as chunks
from physrl.models.linear_scores import linear_scores
from physrl.models.token_scores import token_scores


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use tiles of three tokens by four ids, so that small shapes have several."""
    monkeypatch.setattr(tiles, "_CPU", tiles._Tiling(rows=3, elements=12))


def naive(
    states: Tensor, weight: Tensor, bias: Tensor | None, tokens: Tensor, banned: list[int], t: float
) -> tuple[Tensor, Tensor]:
    logits = torch.nn.functional.linear(states, weight, bias) / t
    allowed = torch.ones(len(weight), dtype=torch.bool).index_fill(
        0, torch.tensor(banned).long(), 0
    )
    normal = logits[:, allowed].log_softmax(dim=-1)
    place = allowed.cumsum(0)[tokens] - 1
    return normal.gather(1, place[:, None])[:, 0], -(normal.exp() * normal).sum(dim=-1)


def gradients(
    function: Callable[[], tuple[Tensor, Tensor]], leaves: list[Tensor], entropy: float
) -> list[Tensor]:
    """Compute outputs, and gradients of a loss with a different weight on every value."""
    logprobs, entropies = function()
    loss = (logprobs * torch.linspace(-1, 2, len(logprobs))).sum()
    if entropy:
        loss = loss + entropy * (entropies * torch.linspace(1, 3, len(entropies))).sum()
    return [logprobs, entropies, *torch.autograd.grad(loss, leaves)]


def agree(ours: list[Tensor], theirs: list[Tensor], atol: float) -> None:
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one.double(), other.double(), atol=atol, rtol=atol)


def test_by_hand() -> None:
    # Logits of the one state over four tokens: ln 1, ln 2, ln 4, ln 100; the last is banned.
    weight = torch.tensor([[1.0], [2.0], [4.0], [100.0]]).log()
    states = torch.ones(2, 1)
    logprobs, entropies = linear_scores(states, weight, None, torch.tensor([2, 0]), banned=[3])
    assert logprobs.tolist() == pytest.approx([math.log(4 / 7), math.log(1 / 7)], abs=1e-6)
    expected = math.log(7) - (2 * math.log(2) + 4 * math.log(4)) / 7
    assert entropies.tolist() == pytest.approx([expected, expected], abs=1e-6)
    # At temperature 1/2 the weights are squared: 1, 4, 16.
    logprobs, _ = linear_scores(states, weight, None, torch.tensor([2, 0]), [3], temperature=0.5)
    assert logprobs.tolist() == pytest.approx([math.log(16 / 21), math.log(1 / 21)], abs=1e-6)


def test_gradient_by_hand() -> None:
    # d log p_2 / d state = (w_2 - sum p w) / T, with probabilities 1/7, 2/7 and 4/7.
    weight = torch.tensor([[1.0], [2.0], [4.0]]).log() * 2
    states = torch.ones(1, 1, requires_grad=True)
    logprobs, _ = linear_scores(states, weight, None, torch.tensor([2]), temperature=2.0)
    (3 * logprobs).sum().backward()
    mean = (2 * weight[1] + 4 * weight[2]) / 7
    assert states.grad is not None
    assert states.grad.item() == pytest.approx(3 * (weight[2] - mean).item() / 2, abs=1e-6)


def test_a_banned_token_has_no_probability() -> None:
    states, weight = torch.randn(2, 3), torch.randn(5, 3)
    logprobs, entropies = linear_scores(states, weight, None, torch.tensor([1, 4]), banned=[1])
    assert logprobs[0] == -torch.inf
    assert logprobs[1].isfinite()
    assert entropies.isfinite().all()


@settings(max_examples=150, deadline=None)
@given(
    count=st.integers(1, 9),
    vocabulary=st.integers(2, 14),
    rows=st.integers(1, 4),
    elements=st.integers(1, 20),
    banned=st.integers(0, 6),
    temperature=st.sampled_from([0.3, 1.0, 2.5]),
    biased=st.booleans(),
    trained=st.booleans(),
    entropy=st.sampled_from([0.0, 0.7]),
    seed=st.integers(0, 1000),
)
def test_any_shape_and_tiling_equals_the_whole_softmax(
    count: int,
    vocabulary: int,
    rows: int,
    elements: int,
    banned: int,
    temperature: float,
    biased: bool,
    trained: bool,
    entropy: float,
    seed: int,
) -> None:
    generator = torch.Generator().manual_seed(seed)
    states = torch.randn(count, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(vocabulary, 5, generator=generator, dtype=torch.float64)
    bias = torch.randn(vocabulary, generator=generator, dtype=torch.float64) if biased else None
    leaves = [states]
    if trained:
        leaves += [w.requires_grad_() for w in (weight, bias) if w is not None]
    order = torch.randperm(vocabulary, generator=generator).tolist()
    forbidden, allowed = order[: min(banned, vocabulary - 1)], order[min(banned, vocabulary - 1) :]
    chosen = torch.randint(len(allowed), (count,), generator=generator)
    tokens = torch.tensor(allowed)[chosen]
    arguments = (states, weight, bias, tokens, forbidden, temperature)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiles, "_CPU", tiles._Tiling(rows, elements))
        ours = gradients(lambda: linear_scores(*arguments), leaves, entropy)
    theirs = gradients(lambda: naive(*arguments), leaves, entropy)
    agree(ours, theirs, atol=1e-10)


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("trained", [True, False])
def test_gradcheck(trained: bool) -> None:
    torch.manual_seed(0)
    states = torch.randn(7, 3, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(10, 3, dtype=torch.float64, requires_grad=trained)
    bias = torch.randn(10, dtype=torch.float64, requires_grad=trained)
    tokens = torch.tensor([0, 3, 4, 7, 8, 9, 2])
    inputs = (states, weight, bias, tokens, [1, 5], 0.7)
    assert torch.autograd.gradcheck(linear_scores, inputs)  # both outputs
    assert torch.autograd.gradcheck(lambda *a: linear_scores(*a)[0], inputs)
    assert torch.autograd.gradcheck(lambda *a: linear_scores(*a)[1], inputs)


@pytest.mark.parametrize("trained", [True, False])
def test_float32_at_a_real_width(trained: bool) -> None:
    torch.manual_seed(0)
    states = torch.randn(40, 64, requires_grad=True)
    weight = (torch.randn(30_000, 64) / 4).requires_grad_(trained)
    tokens = torch.randint(30_000, (40,))
    leaves = [states, weight] if trained else [states]
    ours = gradients(lambda: linear_scores(states, weight, None, tokens, [7], 0.9), leaves, 0.1)
    theirs = gradients(lambda: naive(states, weight, None, tokens, [7], 0.9), leaves, 0.1)
    agree(ours, theirs, atol=1e-5)


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("trained", [True, False])
def test_bfloat16_sums_in_float32(trained: bool) -> None:
    torch.manual_seed(0)
    states = torch.randn(8, 16).bfloat16().requires_grad_()
    weight = torch.randn(11, 16).bfloat16().requires_grad_(trained)
    tokens = torch.randint(11, (8,))
    leaves = [states, weight] if trained else [states]
    ours = gradients(lambda: linear_scores(states, weight, None, tokens, [], 0.9), leaves, 0.0)
    assert ours[0].dtype == torch.float32
    assert all(gradient.dtype == torch.bfloat16 for gradient in ours[2:])
    wide = [leaf.detach().float().requires_grad_() for leaf in leaves]
    exact = gradients(
        lambda: naive(wide[0], wide[1] if trained else weight.float(), None, tokens, [], 0.9),
        wide,
        0.0,
    )
    agree(ours[:2], exact[:2], atol=1e-5)
    # Gradients are rounded once, to eight bits.
    for one, other in zip(ours[2:], exact[2:], strict=True):
        torch.testing.assert_close(one.float(), other, atol=1e-3, rtol=8e-3)


@pytest.mark.usefixtures("small_tiles")
def test_a_near_certain_token_keeps_its_gradient() -> None:
    # 1 - p is 3e-9 here, which float32 cannot tell from zero when it is computed as 1 - p.
    weight = torch.zeros(4, 1)
    weight[2] = 20.0
    states = torch.ones(1, 1, requires_grad=True)
    logprobs, _ = linear_scores(states, weight, None, torch.tensor([2]))
    logprobs.sum().backward()
    rest = 3 * math.exp(-20)
    assert logprobs.item() == pytest.approx(-rest, rel=1e-4)
    assert states.grad is not None
    assert states.grad.item() == pytest.approx(20 * rest, rel=1e-4)


def test_an_unused_entropy_costs_no_matrix_product(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(tiles, "_gradients", lambda *_: calls.append(1) or (None, None, None))
    states = torch.randn(3, 4, requires_grad=True)
    logprobs, entropies = linear_scores(states, torch.randn(6, 4), None, torch.tensor([0, 1, 2]))
    logprobs.sum().backward(retain_graph=True)
    assert not calls
    entropies.sum().backward()
    assert calls


class Largest(TorchDispatchMode):
    """A mode that records the size of the largest tensor that an operation returns."""

    elements = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        if isinstance(result, Tensor):
            self.elements = max(self.elements, result.numel())
        return result


@pytest.mark.parametrize("trained", [True, False])
def test_logits_are_never_whole(trained: bool) -> None:
    states, weight = torch.randn(5000, 2, requires_grad=True), torch.randn(2000, 2)
    weight.requires_grad_(trained)
    with Largest() as largest:
        logprobs, entropies = linear_scores(states, weight, None, torch.zeros(5000).long())
        (logprobs + entropies).sum().backward()
    assert 0 < largest.elements <= tiles._CPU.elements < 5000 * 2000 / 2


def adapted(head: torch.nn.Linear) -> torch.nn.Module:
    """Wrap the head with a trained PEFT adapter of rank 2."""
    model = torch.nn.ModuleDict({"lm_head": head})
    get_peft_model(model, LoraConfig(r=2, lora_alpha=6, target_modules=["lm_head"]))
    wrapped: torch.nn.Module = model["lm_head"]
    torch.nn.init.normal_(wrapped.lora_B["default"].weight)
    return wrapped


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("kind", ["trained", "frozen", "tied", "lora"])
@pytest.mark.parametrize("entropy", [0.0, 0.5])
def test_heads_of_every_kind(kind: str, entropy: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "ROWS", 3)
    torch.manual_seed(0)
    embedding = torch.nn.Embedding(12, 4)
    head: torch.nn.Module = torch.nn.Linear(4, 12, bias=kind == "trained")
    if kind == "tied":
        head.weight = embedding.weight
    head.requires_grad_(kind != "frozen")
    if kind == "lora":
        head = adapted(head)
    read, tokens, banned = torch.arange(8), torch.tensor([0, 2, 3, 4, 5, 6, 8, 11]), [1, 7]
    leaves = [w for w in {*embedding.parameters(), *head.parameters()} if w.requires_grad]

    def ours() -> tuple[Tensor, Tensor]:
        return token_scores(head, embedding(read).tanh(), tokens, banned, 0.8)

    def theirs() -> tuple[Tensor, Tensor]:
        logits = head(embedding(read).tanh())
        return naive(logits, torch.eye(12), None, tokens, banned, 0.8)

    agree(gradients(ours, leaves, entropy), gradients(theirs, leaves, entropy), atol=1e-5)


def test_a_banned_token_has_no_probability_under_an_adapted_head() -> None:
    head = adapted(torch.nn.Linear(3, 5))
    logprobs, entropies = token_scores(head, torch.randn(2, 3), torch.tensor([1, 4]), [1], 1.0)
    assert logprobs[0] == -torch.inf
    assert logprobs[1].isfinite()
    assert entropies.isfinite().all()


def test_an_adapted_head_partitioned_by_zero_3_is_refused() -> None:
    head = adapted(torch.nn.Linear(3, 5))
    for number, parameter in enumerate(head.parameters()):
        parameter.ds_id = number  # as DeepSpeed marks it
    with pytest.raises(ConfigError, match=r"runtime\.zero_stage=2"):
        token_scores(head, torch.randn(2, 3), torch.tensor([1, 4]), [], 1.0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("trained", [True, False])
def test_bfloat16_on_a_gpu_equals_float32_on_the_cpu(trained: bool) -> None:
    torch.manual_seed(0)
    states = torch.randn(300, 128).bfloat16().requires_grad_()
    weight = (torch.randn(5000, 128) / 4).bfloat16().requires_grad_(trained)
    tokens = torch.randint(5000, (300,))
    leaves = [states, weight] if trained else [states]
    on_cpu = gradients(lambda: linear_scores(states, weight, None, tokens, [7], 0.9), leaves, 0.1)
    moved = [leaf.detach().cuda().requires_grad_(leaf.requires_grad) for leaf in (states, weight)]
    logprobs, entropies = linear_scores(*moved, None, tokens.cuda(), [7], 0.9)
    agree([logprobs.cpu(), entropies.cpu()], on_cpu[:2], atol=1e-4)
