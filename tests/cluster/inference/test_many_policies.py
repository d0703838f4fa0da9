"""One warm server for many policies: real vLLM against the learner's own scores."""

from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import get_peft_model

from cluster.inference.servers import InferenceServers
from cluster.runtime.event_loop import EventLoop
from cluster.runtime.placement import Placement
from cluster.study.policies import checkpoint_policy
from cluster.weights.policy import Policy
from physrl.config.model import LoRAConfig, ModelConfig
from physrl.config.runtime import RuntimeConfig
from physrl.data.collate import Collator
from physrl.errors import GenerationError
from physrl.models.loading import peft_config
from physrl.models.logprobs import completion_logprobs
from physrl.models.tiny import IMAGE_SIZE, TAGS, build_tiny, save_checkpoint
from physrl.protocols import Sampling
from physrl.tracing import Trace
from physrl.types import Generation, Prompt, TrainingExample

QUESTION = "Will any block fall?"
GREEDY = Sampling(group_size=1, temperature=0, max_tokens=8, seed=0)
TOLERANCE = 5e-3
"""Nats between vLLM's and transformers' log-probability of a token, both in float32; another
policy's differs by more than 0.1."""
LORA = LoRAConfig(rank=4, alpha=64, vision=True)
RUNTIME = RuntimeConfig(kv_cache_mb=64, max_num_seqs=32, calls_per_server=8)


def tiny(seed: int) -> tuple[Any, Any]:
    """A model whose answers depend on the picture and differ by nats from another seed's."""
    model, processor = build_tiny([QUESTION, "user assistant", *TAGS], seed=0)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    return model.eval(), processor


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    save_checkpoint(*tiny(1), folder)
    return folder


def adapted(folder: Path, seed: int) -> Any:
    """The base under a random adapter, which is saved into the folder."""
    model, _ = tiny(1)
    config = peft_config(LORA, model)
    config.init_lora_weights = False
    torch.manual_seed(seed)
    peft = get_peft_model(model, config).eval()
    peft.save_pretrained(folder)
    return peft


def pictures(count: int) -> list[Prompt]:
    rng = np.random.default_rng(count)
    shape = (IMAGE_SIZE, IMAGE_SIZE, 3)
    return [
        Prompt.ask(f"picture-{index}", QUESTION, rng.integers(0, 256, shape, dtype=np.uint8))
        for index in range(count)
    ]


def scores(model: Any, collator: Collator, generations: list[Generation]) -> np.ndarray:
    """The learner's log-probability of every token, flat; the prompts are `pictures`."""
    prompts = pictures(len(generations))
    examples = [
        TrainingExample(prompt, generation.completions[0].token_ids)
        for prompt, generation in zip(prompts, generations, strict=True)
    ]
    with torch.no_grad():
        rows, _ = completion_logprobs(model, collator(examples), collator.banned_token_ids, 1.0)
    lengths = [len(example.completion_ids) for example in examples]
    return np.concatenate([row[:n].numpy() for row, n in zip(rows, lengths, strict=True)])


def tokens(generations: list[Generation]) -> list[tuple[int, ...]]:
    return [generation.completions[0].token_ids for generation in generations]


def sampled(generations: list[Generation]) -> np.ndarray:
    return np.concatenate([c.logprobs for group in generations for c in group.completions])


def serve(model: ModelConfig, loop: EventLoop, adapters: int) -> Iterator[InferenceServers]:
    servers = InferenceServers(
        model,
        RUNTIME,
        seed=0,
        loop=loop,
        placement=Placement.unreserved(RUNTIME),
        trace=Trace(),
        adapters=adapters,
    )
    yield servers
    servers.stop()


@pytest.fixture(scope="module")
def adapter_server(
    ray_cluster: None, event_loop_thread: EventLoop, base: Path
) -> Iterator[InferenceServers]:
    model = ModelConfig(path=str(base), max_prompt_tokens=64, lora=LORA)
    yield from serve(model, event_loop_thread, adapters=2)


@pytest.fixture(scope="module")
def full_server(
    ray_cluster: None, event_loop_thread: EventLoop, base: Path
) -> Iterator[InferenceServers]:
    yield from serve(ModelConfig(path=str(base), max_prompt_tokens=64), event_loop_thread, 1)


def test_each_adapter_answers_as_itself_beside_others(
    adapter_server: InferenceServers, base: Path, tmp_path: Path
) -> None:
    names = ("a", "b", "c")  # one more than fit into a batch
    models = {name: adapted(tmp_path / name, seed) for seed, name in enumerate(names)}
    policies = [Policy(name, 0, "adapter", str(tmp_path / name)) for name in names]
    policies.append(Policy("base"))
    base_model, processor = tiny(1)
    models["base"] = base_model
    collator = Collator(processor)

    def ask(policy: Policy) -> "Future[list[Generation]]":
        return adapter_server.answer(pictures(3), GREEDY, policy)

    # The same pictures, at once and then again: no prefix of one may be taken for another's.
    asked = [ask(policy) for policy in policies]
    at_once = [each.result() for each in asked]
    again = [ask(policy).result() for policy in reversed(policies)]
    assert [tokens(each) for each in at_once] == [tokens(each) for each in again[::-1]]
    for policy, generations in zip(policies, at_once, strict=True):
        own = scores(models[policy.name], collator, generations)
        np.testing.assert_allclose(sampled(generations), own, atol=TOLERANCE)
        other = scores(models["base" if policy.name != "base" else "a"], collator, generations)
        assert np.abs(own - other).max() > 0.1


def test_full_weights_come_in_turn_and_the_base_comes_back(
    full_server: InferenceServers, base: Path, tmp_path: Path
) -> None:
    models = {"base": tiny(1)[0], "trained": tiny(2)[0]}
    save_checkpoint(models["trained"], tiny(2)[1], tmp_path / "model")
    policies = {"base": Policy("base"), "trained": checkpoint_policy("trained", tmp_path)}
    collator = Collator(tiny(1)[1])
    for name in ("base", "trained", "base"):
        generations = full_server.answer(pictures(3), GREEDY, policies[name]).result()
        own = scores(models[name], collator, generations)
        np.testing.assert_allclose(sampled(generations), own, atol=TOLERANCE)


def test_a_request_that_fails_costs_no_other(full_server: InferenceServers) -> None:
    long = [Prompt.ask("long", QUESTION * 20, pictures(1)[0].image)]
    futures = [
        full_server.answer(prompts, GREEDY, Policy("base"))
        for prompts in (pictures(1), long, pictures(2))
    ]
    assert [len(futures[place].result()) for place in (0, 2)] == [1, 2]
    with pytest.raises(GenerationError, match="more than model"):
        futures[1].result()


def test_a_checkpoint_without_weights_has_vanished(tmp_path: Path) -> None:
    with pytest.raises(GenerationError, match="has vanished"):
        checkpoint_policy("gone", tmp_path)
