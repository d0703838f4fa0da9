"""Inference servers against the learner's own scores: real vLLM in real Ray actors."""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray
import torch

from cluster.inference.servers import InferenceServers, start_servers
from cluster.runtime.event_loop import EventLoop
from cluster.runtime.placement import Placement
from cluster.weights.sync import Policy
from physrl.config.model import LoRAConfig, ModelConfig
from physrl.config.runtime import RuntimeConfig
from physrl.data.collate import Collator
from physrl.errors import GenerationError
from physrl.models.logprobs import completion_logprobs
from physrl.models.tiny import TAGS, build_tiny, save_checkpoint
from physrl.protocols import Sampling
from physrl.tasks.answers import Axis, answer_pattern, answer_text
from physrl.tracing import Trace
from physrl.training_records import TrainingExample
from physrl.types import Generation
from tests.support.inference import (
    GREEDY,
    QUESTION,
    build_random,
    image_prompts,
    learner_logprobs,
    random_adapter,
    sampled_logprobs,
)

SAMPLING = Sampling(group_size=4, temperature=0.7, max_tokens=8, seed=3)
TOLERANCE = 1e-3
"""Nats between vLLM's and transformers' log-probability of a token, both in float32."""
LORA = LoRAConfig(rank=4, alpha=64)
Reserve = Callable[[RuntimeConfig], Placement]


@dataclass(frozen=True)
class Base:
    """The checkpoint that the servers start from."""

    folder: Path
    model: Any
    collator: Collator


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    folder = tmp_path_factory.mktemp("checkpoint")
    model, processor = build_random(seed=1)
    save_checkpoint(model, processor, folder)
    return Base(folder, model, Collator(processor))


@pytest.fixture(scope="module")
def servers(
    event_loop_thread: EventLoop, reserve: Reserve, base: Base
) -> Iterator[InferenceServers]:
    model = ModelConfig(path=str(base.folder), max_prompt_tokens=64)
    yield from started(model, event_loop_thread, reserve)


@pytest.fixture(scope="module")
def lora_servers(
    event_loop_thread: EventLoop, reserve: Reserve, base: Base
) -> Iterator[InferenceServers]:
    model = ModelConfig(path=str(base.folder), max_prompt_tokens=64, lora=LORA)
    yield from started(model, event_loop_thread, reserve)


def started(model: ModelConfig, loop: EventLoop, reserve: Reserve) -> Iterator[InferenceServers]:
    runtime = RuntimeConfig(
        kv_cache_mb=64, max_num_seqs=32, batching="continuous", in_flight="abort"
    )
    servers = start_servers(
        model, runtime, seed=0, loop=loop, placement=reserve(runtime), trace=Trace()
    )
    servers.wait()
    assert servers.policy.version == 0
    yield servers
    servers.stop()


def serve(servers: InferenceServers, weights: dict[str, np.ndarray], version: int) -> None:
    servers.serve(Policy("policy", version, "weights", ray.put(weights)), wait=True)


def weights_of(model: torch.nn.Module) -> dict[str, np.ndarray]:
    """Copy all weights into numpy arrays."""
    return {name: value.numpy().copy() for name, value in model.state_dict().items()}


def versions(generations: list[Generation]) -> set[int]:
    return {c.policy_version for group in generations for c in group.completions}


def test_full_weights_agree_with_the_learner_before_and_after_a_sync(
    servers: InferenceServers, base: Base
) -> None:
    prompts = image_prompts(3)
    old = servers.answer(prompts, SAMPLING).result()
    assert versions(old) == {0}
    assert [len(group.completions) for group in old] == [4, 4, 4]
    before = learner_logprobs(base.model, base.collator, prompts, old, SAMPLING.temperature)
    np.testing.assert_allclose(sampled_logprobs(old), before, atol=TOLERANCE)

    model, _ = build_random(seed=2)
    serve(servers, weights_of(model), version=7)

    # The same prompts: prefixes and encoded images of the old weights must be gone.
    new = servers.answer(prompts, SAMPLING).result()
    assert versions(new) == {7}
    after = learner_logprobs(model, base.collator, prompts, new, SAMPLING.temperature)
    np.testing.assert_allclose(sampled_logprobs(new), after, atol=TOLERANCE)
    stale = learner_logprobs(base.model, base.collator, prompts, new, SAMPLING.temperature)
    assert np.abs(after - stale).max() > 0.5


def test_adapters_agree_with_the_learner_before_and_after_a_sync(
    lora_servers: InferenceServers, base: Base, tmp_path: Path
) -> None:
    prompts = image_prompts(3)
    previous = base.model
    lora_servers.answer(prompts, SAMPLING).result()
    for version in (1, 2):
        adapted = random_adapter(build_random(seed=1)[0], LORA, version)
        adapted.save_pretrained(tmp_path / str(version))
        files = {p.name: p.read_bytes() for p in (tmp_path / str(version)).iterdir()}
        lora_servers.serve(Policy("policy", version, "adapter", ray.put(files)), wait=True)

        # The same prompts: prefixes of the previous adapter must be gone.
        generations = lora_servers.answer(prompts, SAMPLING).result()
        assert versions(generations) == {version}
        scores = learner_logprobs(
            adapted, base.collator, prompts, generations, SAMPLING.temperature
        )
        np.testing.assert_allclose(sampled_logprobs(generations), scores, atol=TOLERANCE)
        stale = learner_logprobs(
            previous, base.collator, prompts, generations, SAMPLING.temperature
        )
        assert np.abs(scores - stale).max() > 0.1
        previous = adapted


def test_greedy_decoding_is_deterministic_with_its_logprobs(
    servers: InferenceServers, base: Base
) -> None:
    model, _ = build_random(seed=4)
    serve(servers, weights_of(model), version=8)
    prompts = image_prompts(2)
    generations = servers.answer(prompts, GREEDY).result()
    scores = learner_logprobs(model, base.collator, prompts, generations, 1.0)
    np.testing.assert_allclose(sampled_logprobs(generations), scores, atol=TOLERANCE)
    assert generations == servers.answer(prompts, GREEDY).result()


def test_min_p_excludes_unlikely_tokens(servers: InferenceServers) -> None:
    prompts = image_prompts(2)
    greedy = servers.answer(prompts, GREEDY).result()
    # Only tokens that are as likely as the likeliest are left.
    sampled = servers.answer(prompts, replace(SAMPLING, max_tokens=GREEDY.max_tokens, min_p=1.0))
    for one, other in zip(greedy, sampled.result(), strict=True):
        assert set(tokens(other)) == set(tokens(one))


def test_completions_are_whole_and_hold_no_banned_token(
    servers: InferenceServers, base: Base
) -> None:
    model, processor = build_tiny([QUESTION, "user assistant", *TAGS], seed=0)
    model.model.language_model.norm.weight.data.zero_()  # every token equally likely
    serve(servers, weights_of(model), version=9)
    prompt = image_prompts(1)[0]
    many = Sampling(group_size=64, temperature=1.0, max_tokens=40, seed=0)
    [generation] = servers.answer([prompt], many).result()
    assert generation.prompt_token_ids == base.collator.prompt_ids(prompt)
    allowed = len(processor.tokenizer) - len(base.collator.banned_token_ids)
    np.testing.assert_allclose(sampled_logprobs([generation]), -np.log(allowed), atol=1e-5)
    tag = processor.tokenizer.convert_tokens_to_ids("</answer>")
    for completion in generation.completions:
        ids = completion.token_ids
        assert len(ids) == len(completion.logprobs)
        assert not set(ids) & set(base.collator.banned_token_ids)
        assert completion.truncated == (ids[-1] != base.collator.eos_token_id)
        assert "<|im_end|>" not in completion.text
        assert ("</answer>" in completion.text) == (tag in ids)
    assert {completion.truncated for completion in generation.completions} == {True, False}
    assert any("</answer>" in completion.text for completion in generation.completions)


def test_completions_do_not_depend_on_the_rest_of_the_batch(servers: InferenceServers) -> None:
    prompts = image_prompts(5)
    together = servers.answer(prompts, SAMPLING).result()
    alone = [servers.answer([prompt], SAMPLING).result()[0] for prompt in reversed(prompts)]
    assert [tokens(group) for group in together] == [tokens(group) for group in reversed(alone)]
    assert len(set(map(tokens, together))) == len(prompts)
    assert len(set(tokens(together[0]))) > 1


def test_concurrent_calls_do_not_affect_each_other(servers: InferenceServers) -> None:
    first, second = image_prompts(2), image_prompts(3)
    alone = [servers.answer(prompts, SAMPLING).result() for prompts in (first, second)]
    together = [servers.answer(prompts, SAMPLING) for prompts in (first, second)]
    for one, other in zip(alone, [each.result() for each in together], strict=True):
        assert [tokens(group) for group in one] == [tokens(group) for group in other]


def test_completions_in_flight_give_way_to_new_weights(
    servers: InferenceServers, base: Base
) -> None:
    """All completions of a call are of one policy, at whatever time new weights come."""
    prompts = image_prompts(2)
    long = Sampling(group_size=16, temperature=0.7, max_tokens=100, seed=3)
    models = {}
    for version in (11, 12, 13):
        models[version], _ = build_random(seed=version)
        in_flight = servers.answer(prompts, long)
        time.sleep(0.3 * (version - 11))
        serve(servers, weights_of(models[version]), version)
        generations = in_flight.result()
        (found,) = versions(generations)
        if found in models:
            scores = learner_logprobs(
                models[found], base.collator, prompts, generations, long.temperature
            )
            np.testing.assert_allclose(sampled_logprobs(generations), scores, atol=TOLERANCE)
    (last,) = versions(servers.answer(prompts, SAMPLING).result())
    assert last == 13


def tokens(generation: Generation) -> tuple[tuple[int, ...], ...]:
    return tuple(completion.token_ids for completion in generation.completions)


def test_a_long_prompt_is_refused(servers: InferenceServers) -> None:
    prompts = [*image_prompts(1), *image_prompts(1, QUESTION * 20)]
    with pytest.raises(GenerationError, match=r"model\.max_prompt_tokens"):
        servers.answer(prompts, SAMPLING).result()


def test_an_incomplete_sync_is_refused_and_can_be_repeated(
    servers: InferenceServers, base: Base
) -> None:
    model, _ = build_random(seed=6)
    weights = weights_of(model)
    left_out = "model.language_model.norm.weight"
    partial = {name: value for name, value in weights.items() if name != left_out}
    with pytest.raises(GenerationError, match=r"norm\.weight"):
        serve(servers, partial, version=20)
    with pytest.raises(GenerationError, match=r"norm\.weight"):  # it retries
        servers.answer(image_prompts(1), SAMPLING).result()

    serve(servers, weights, version=20)
    prompts = image_prompts(2)
    generations = servers.answer(prompts, SAMPLING).result()
    assert versions(generations) == {20}
    scores = learner_logprobs(model, base.collator, prompts, generations, SAMPLING.temperature)
    np.testing.assert_allclose(sampled_logprobs(generations), scores, atol=TOLERANCE)


def test_choices_have_the_learners_log_probabilities(servers: InferenceServers, base: Base) -> None:
    model, processor = build_random(seed=5)
    serve(servers, weights_of(model), version=21)
    prompts = image_prompts(3)
    # Without the grammar, random weights write no answer.
    plain = Sampling(1, 0.0, 8, 0, choices=("Yes", "No"))
    without = servers.answer(prompts, plain).result()
    assert {each.choices for group in without for each in group.completions} == {()}

    asked = replace(plain, pattern=answer_pattern(()), max_tokens=12)
    generations = servers.answer(prompts, asked).result()
    tokenizer = processor.tokenizer
    shared = len(tokenizer("<answer>")["input_ids"])
    for prompt, generation in zip(prompts, generations, strict=True):
        (completion,) = generation.completions
        for verdict, found in zip(("Yes", "No"), completion.choices, strict=True):
            ids = tuple(tokenizer(answer_text(verdict))["input_ids"])
            inputs = base.collator([TrainingExample(prompt, ids)])
            with torch.no_grad():
                (scores,), _ = completion_logprobs(model, inputs, banned=())
            assert found == pytest.approx(float(scores[shared:].sum()), abs=TOLERANCE)
    assert len({round(c.choices[0], 2) for g in generations for c in g.completions}) == 3


@pytest.mark.parametrize("axes", [(), ("x",), ("x", "y")])
def test_constrained_completions_have_the_form(
    servers: InferenceServers, axes: tuple[Axis, ...]
) -> None:
    model, _ = build_random(seed=6)
    serve(servers, weights_of(model), version=22)
    pattern = answer_pattern(axes)
    constrained = Sampling(1, 0.0, 24, 0, pattern=pattern)
    for generation in servers.answer(image_prompts(4), constrained).result():
        (completion,) = generation.completions
        assert re.fullmatch(pattern, completion.text)
        assert not completion.truncated
