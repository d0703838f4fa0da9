"""Whole path: a server that vLLM splits over two processes, against the learner's own scores."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import ray

from cluster.inference.servers import InferenceServers, start_servers
from cluster.runtime.event_loop import EventLoop
from cluster.runtime.placement import Placement
from cluster.weights.sync import Policy
from physrl.config.model import LoRAConfig, ModelConfig
from physrl.config.runtime import RuntimeConfig
from physrl.data.collate import Collator
from physrl.errors import GenerationError
from physrl.models.tiny import save_checkpoint
from physrl.protocols import Sampling
from physrl.tracing import Trace
from tests.support.inference import (
    build_random,
    image_prompts,
    learner_logprobs,
    random_adapter,
    sampled_logprobs,
)

SAMPLING = Sampling(group_size=4, temperature=0.7, max_tokens=8, seed=3)
HEADS = 4, 2
"""Heads, and heads of keys and values, of the text layers."""
LORA = LoRAConfig(rank=4, alpha=64, vision=True, projector=True)


@pytest.mark.parametrize("lora", [None, LORA], ids=["full weights", "adapters"])
def test_a_split_server_agrees_with_the_learner_after_every_sync(
    lora: LoRAConfig | None,
    event_loop_thread: EventLoop,
    reserve: Callable[[RuntimeConfig], Placement],
    tmp_path: Path,
) -> None:
    base, processor = build_random(1, *HEADS)
    save_checkpoint(base, processor, tmp_path / "base")
    collator = Collator(processor)
    runtime = RuntimeConfig(kv_cache_mb=64, max_num_seqs=32, vllm={"tensor_parallel_size": 2})
    servers = start_servers(
        ModelConfig(path=str(tmp_path / "base"), max_prompt_tokens=64, lora=lora),
        runtime,
        seed=0,
        loop=event_loop_thread,
        placement=reserve(runtime),
        trace=Trace(),
    )
    servers.wait()
    try:
        prompts = image_prompts(3)
        for version in (1, 2):
            if lora is None:
                model, _ = build_random(version + 1, *HEADS)
                weights = {name: value.numpy() for name, value in model.state_dict().items()}
                policy = Policy("policy", version, "weights", ray.put(weights))
            else:
                model = random_adapter(build_random(1, *HEADS)[0], lora, version)
                model.save_pretrained(tmp_path / str(version))
                files = {p.name: p.read_bytes() for p in (tmp_path / str(version)).iterdir()}
                policy = Policy("policy", version, "adapter", ray.put(files))
            _refuse_damaged(servers, policy)
            servers.serve(policy, wait=True)
            generations = servers.answer(prompts, SAMPLING).result()
            scores = learner_logprobs(model, collator, prompts, generations, SAMPLING.temperature)
            # A whole server differs as much from adapters as large as these.
            atol = 1e-3 if lora is None else 1e-2
            np.testing.assert_allclose(sampled_logprobs(generations), scores, atol=atol)
            stale = learner_logprobs(base, collator, prompts, generations, SAMPLING.temperature)
            assert np.abs(scores - stale).max() > 0.1
            base = model
    finally:
        servers.stop()


def _refuse_damaged(servers: InferenceServers, policy: Policy) -> None:
    """Sync a part of a policy's weights; the next sync must not meet leftovers of its failure."""
    whole = ray.get(policy.source)
    part = dict(list(whole.items())[: len(whole) // 2])
    damaged = Policy(policy.name, policy.version, policy.form, ray.put(part))
    with pytest.raises(GenerationError):
        servers.serve(damaged, wait=True)
