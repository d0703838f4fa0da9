"""Whole path: many policies on one server, real vLLM against the learner's own scores."""

from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest

from cluster.inference.servers import InferenceServers, start_servers
from cluster.runtime.event_loop import EventLoop
from cluster.runtime.placement import Placement
from cluster.study.policies import checkpoint_policy
from cluster.weights.sync import Policy
from physrl.config.model import LoRAConfig, ModelConfig
from physrl.config.runtime import RuntimeConfig
from physrl.data.collate import Collator
from physrl.errors import GenerationError
from physrl.models.tiny import save_checkpoint
from physrl.tracing import Trace
from physrl.types import Generation, Prompt
from tests.support.inference import (
    GREEDY,
    QUESTION,
    build_random,
    image_prompts,
    learner_logprobs,
    random_adapter,
    sampled_logprobs,
)

TOLERANCE = 5e-3
"""Nats between vLLM's and transformers' log-probability of a token, both in float32; another
policy's differs by more than 0.1."""
LORA = LoRAConfig(rank=4, alpha=64, vision=True)
RUNTIME = RuntimeConfig(kv_cache_mb=64, max_num_seqs=32, batching="continuous")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    save_checkpoint(*build_random(1), folder)
    return folder


def tokens(generations: list[Generation]) -> list[tuple[int, ...]]:
    return [generation.completions[0].token_ids for generation in generations]


def serve(model: ModelConfig, loop: EventLoop, adapters: int) -> Iterator[InferenceServers]:
    servers = start_servers(
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
    models = {
        name: random_adapter(build_random(1)[0], LORA, seed) for seed, name in enumerate(names)
    }
    for name, model in models.items():
        model.save_pretrained(tmp_path / name)
    policies = [Policy(name, 0, "adapter", str(tmp_path / name)) for name in names]
    policies.append(Policy("base"))
    models["base"], processor = build_random(1)
    collator = Collator(processor)

    def sample(policy: Policy) -> "Future[list[Generation]]":
        return adapter_server.answer(image_prompts(3), GREEDY, policy)

    # The same images, at once and then again: policies must not share cached prefixes.
    futures = [sample(policy) for policy in policies]
    at_once = [future.result() for future in futures]
    again = [sample(policy).result() for policy in reversed(policies)]
    assert [tokens(each) for each in at_once] == [tokens(each) for each in again[::-1]]
    for policy, generations in zip(policies, at_once, strict=True):
        own = learner_logprobs(models[policy.name], collator, image_prompts(3), generations)
        np.testing.assert_allclose(sampled_logprobs(generations), own, atol=TOLERANCE)
        other = learner_logprobs(
            models["base" if policy.name != "base" else "a"],
            collator,
            image_prompts(3),
            generations,
        )
        assert np.abs(own - other).max() > 0.1


def test_full_weights_come_in_turn_and_the_base_comes_back(
    full_server: InferenceServers, base: Path, tmp_path: Path
) -> None:
    models = {"base": build_random(1)[0], "trained": build_random(2)[0]}
    save_checkpoint(*build_random(2), tmp_path / "model")
    policies = {"base": Policy("base"), "trained": checkpoint_policy("trained", tmp_path)}
    collator = Collator(build_random(1)[1])
    for name in ("base", "trained", "base"):
        generations = full_server.answer(image_prompts(3), GREEDY, policies[name]).result()
        own = learner_logprobs(models[name], collator, image_prompts(3), generations)
        np.testing.assert_allclose(sampled_logprobs(generations), own, atol=TOLERANCE)


def test_a_failing_request_does_not_affect_others(full_server: InferenceServers) -> None:
    long = [Prompt.ask("long", QUESTION * 20, image_prompts(1)[0].image)]
    futures = [
        full_server.answer(prompts, GREEDY, Policy("base"))
        for prompts in (image_prompts(1), long, image_prompts(2))
    ]
    assert [len(futures[place].result()) for place in (0, 2)] == [1, 2]
    with pytest.raises(GenerationError, match=r"model\.max_prompt_tokens"):
        futures[1].result()


def test_a_checkpoint_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GenerationError, match=str(tmp_path)):
        checkpoint_policy("gone", tmp_path)
