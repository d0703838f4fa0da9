"""Checks of servers alone, against a model that transformers loads: full weights, split servers."""

from collections.abc import Sequence
from typing import Any

import ray

from cluster.inference.servers import InferenceServers, start_servers
from cluster.runtime.event_loop import EventLoop
from cluster.runtime.placement import Placement
from cluster.runtime.session import actor_environment
from cluster.weights.sync import Policy
from jobs.gpu_check.comparison import agreeing, difference, examples_of
from jobs.gpu_check.rows import Failed, Finding, Skipped
from physrl.config.model import ModelConfig
from physrl.config.runtime import RuntimeConfig
from physrl.protocols import Sampling
from physrl.tracing import Trace
from physrl.training_records import TrainingExample
from physrl.types import Prompt

GROUP, LONGEST = 2, 16
NOISE = 0.02
"""Standard deviation of what is added to weights, as a share of theirs."""


class Reference:
    """A model in a Ray actor that changes its weights and scores completions."""

    def __init__(self, model: ModelConfig, gpus: float) -> None:
        from physrl.data.collate import Collator
        from physrl.models.loading import load_model
        from physrl.models.processor import configured_processor

        self._device = "cuda" if gpus else "cpu"
        self._model = load_model(model).to(self._device).eval()
        self._collator = Collator(configured_processor(model))

    def change(self) -> dict[str, Any]:
        """Add noise to all weights, and return them."""
        import torch

        torch.manual_seed(0)
        with torch.no_grad():
            for weight in self._model.parameters():
                if weight.numel() > 1:
                    weight += NOISE * weight.std() * torch.randn_like(weight)
        return {name: value.cpu() for name, value in self._model.state_dict().items()}

    def score(self, examples: Sequence[TrainingExample]) -> list[list[float]]:
        """Compute the log-probabilities of the examples' completions."""
        import torch

        from physrl.models.logprobs import completion_logprobs

        collator, device = self._collator, torch.device(self._device)
        with torch.no_grad():
            rows, _ = completion_logprobs(
                self._model, collator(examples).to(device), collator.banned_token_ids
            )
        lengths = [len(each.completion_ids) for each in examples]
        return [row[:n].tolist() for row, n in zip(rows.float(), lengths, strict=True)]


def full_weights_sync(
    model: ModelConfig, runtime: RuntimeConfig, prompts: Sequence[Prompt]
) -> Finding:
    """Replace all weights of a server."""
    half = 0.5 if runtime.gpus_per_server else 0
    alone = runtime.model_copy(
        update={"layout": "disaggregated", "inference_servers": 1, "gpus_per_server": half}
    )
    return _synced(model, alone, half, prompts)


def split_server_syncs(
    model: ModelConfig, runtime: RuntimeConfig, prompts: Sequence[Prompt], gpus: int
) -> Finding:
    """Replace all weights of a server that is split over two GPUs, or two processes of a CPU."""
    if gpus == 1:
        raise Skipped("tensor parallelism needs a second GPU")
    update: dict[str, Any] = {"layout": "disaggregated", "inference_servers": 1}
    update |= {"gpus_per_server": 2} if gpus else {"vllm": {"tensor_parallel_size": 2}}
    return _synced(model, runtime.model_copy(update=update), 0, prompts)


def _synced(
    model: ModelConfig, runtime: RuntimeConfig, gpus: float, prompts: Sequence[Prompt]
) -> Finding:
    """Start a server, replace its weights by changed ones, and score what it samples.

    Args:
        gpus: share of a GPU for the model that scores; 0 for a CPU.
    """
    options = {"num_gpus": gpus, "runtime_env": {"env_vars": actor_environment(runtime.threads)}}
    reference = ray.remote(Reference).options(num_cpus=0, **options).remote(model, gpus)
    loop = EventLoop()
    servers = start_servers(
        model,
        runtime,
        seed=0,
        loop=loop,
        placement=Placement.unreserved(runtime),
        trace=Trace(),
    )
    try:
        servers.wait()
        return _compare(servers, reference, prompts, model.dtype)
    finally:
        loop.stop()
        servers.stop()
        ray.kill(reference)


def _compare(
    servers: InferenceServers, reference: Any, prompts: Sequence[Prompt], dtype: str
) -> Finding:
    sampling = Sampling(GROUP, 1.0, LONGEST, seed=0)
    old = examples_of(prompts, servers.answer(prompts, sampling).result())
    before = ray.get(reference.score.remote(old))
    agreeing(old, before, dtype)
    servers.serve(Policy("policy", 1, "weights", reference.change.remote()), wait=True)
    new = examples_of(prompts, servers.answer(prompts, sampling).result())
    mean, text = agreeing(new, ray.get(reference.score.remote(new)), dtype)
    changed, _ = difference(old, ray.get(reference.score.remote(old)))
    if not changed > 2 * mean:
        raise Failed(f"new weights cannot be told from old ones: {changed:.1e} nats a token apart")
    return Finding(f"{text}; the old weights: {changed:.1e}", {"full_sync_difference": mean})
