"""Bytes held by each process of a run, from its configuration and its model's size.

Weights, gradients and optimizer state are counted; activations are estimated; what libraries take
was measured, or is a round number where there was no GPU.
"""

from dataclasses import dataclass

from physrl.config.model import ModelConfig
from physrl.config.run import RunConfig
from physrl.config.runtime import RuntimeConfig
from physrl.sizing.activations import activation_bytes
from physrl.sizing.model_size import ModelSize
from physrl.sizing.tensors import (
    WIDTHS,
    base_bytes,
    optimizer_bytes,
    zero_stage,
)

BUCKET, LIVE = 5e8, 1e9
"""Numbers in DeepSpeed's reduction buffer, and at most in ZeRO stage 3's gathered parameters."""
RANK_PROCESS, SERVER_PROCESS, WORKER_PROCESS, DRIVER = 0.95e9, 1.4e9, 0.25e9, 0.25e9
"""Resident memory before anything is loaded, measured on a CPU."""
RAY = 0.5e9
"""Ray's own processes."""
CUDA = 1.0e9
"""A process's CUDA context, NCCL and workspaces."""
SERVER_WORK = 2.0e9
"""vLLM's CUDA graphs and workspaces."""
SCORED_AT_ONCE = 1024
"""Tokens of a prompt that vLLM scores at a time on a GPU; on a CPU, all of them."""


@dataclass(frozen=True, slots=True)
class Part:
    """Something that a process holds in memory."""

    name: str
    bytes: float
    estimated: bool = False
    transient: bool = False
    """Held only during an update."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """The parts that one process holds on its GPU, if it has one, and in host memory."""

    device: tuple[Part, ...]
    host: tuple[Part, ...]

    @property
    def device_bytes(self) -> float:
        return sum(part.bytes for part in self.device)

    @property
    def host_bytes(self) -> float:
        return sum(part.bytes for part in self.host)


def rank_footprint(config: RunConfig, size: ModelSize) -> Footprint:
    """Estimate the footprint of a learner rank at the peak of an update."""
    runtime = config.runtime
    stage, ranks = zero_stage(config), runtime.learner_ranks
    width = WIDTHS[config.model.dtype]
    weights = Part("weights", base_bytes(config, size) / (ranks if stage == 3 else 1))
    if config.model.lora is not None:
        weights = Part("weights", weights.bytes + size.trained * width)
    # Below stage 2 each rank holds all gradients; DeepSpeed sums them in float32.
    gradients = Part("gradients", 4 * size.trained / (ranks if stage >= 2 else 1))
    optimizer = Part("optimizer", optimizer_bytes(config, size) / (ranks if stage else 1))
    transient = [Part("activations", activation_bytes(config, size), True, transient=True)]
    if stage == 3:
        gathered = min(size.parameters, LIVE) + size.head
        transient.append(Part("gathered weights", gathered * width, True, transient=True))
    process = Part("process", RANK_PROCESS, estimated=True)
    if not runtime.gpus_per_rank:
        return Footprint((), (weights, gradients, optimizer, *transient, process))
    if stage:
        transient.append(Part("reduction buffer", BUCKET * width))
    transient.append(Part("CUDA", CUDA, estimated=True))
    held = {
        "none": ((weights, gradients, optimizer), ()),
        "optimizer": ((weights,), (gradients, optimizer)),
        "all": ((), (weights, gradients, optimizer)),
    }
    device, host = held[runtime.offload]
    return Footprint((*device, *transient), (*host, process))


def server_footprint(model: ModelConfig, runtime: RuntimeConfig, size: ModelSize) -> Footprint:
    """Estimate the footprint of an inference server, or of each GPU that vLLM splits it over.

    A server of a 4-bit base model holds dequantized weights.
    """
    adapter = size.trained if model.lora is not None else 0
    weights = (size.parameters + adapter) * WIDTHS[model.dtype] / runtime.server_shards
    held = (Part("weights", weights), Part("key-value cache", runtime.kv_cache_mb << 20))
    process = Part("process", SERVER_PROCESS, estimated=True)
    longest = model.max_prompt_tokens + model.max_completion_tokens
    if not runtime.gpus_per_server:
        return Footprint((), (*held, _scores(model, size, longest), process))
    work = Part("graphs and workspaces", SERVER_WORK, estimated=True)
    scores = _scores(model, size, min(longest, SCORED_AT_ONCE))
    return Footprint((*held, work, scores), (process,))


def _scores(model: ModelConfig, size: ModelSize, tokens: int) -> Part:
    """Estimate the logits of tokens that are scored (beliefs of `Yes`), and these in float32."""
    vocabulary = size.head / size.language.hidden
    logits = tokens * vocabulary * (WIDTHS[model.dtype] + WIDTHS["float32"])
    return Part("scores of answers", logits, estimated=True)


def shared_gpu_bytes(rank: Footprint, server: Footprint) -> float:
    """Estimate the bytes of a GPU on which a rank and a server take turns.

    While the rank trains, the server sleeps; while the server generates, the rank's weights stay.
    """
    resident = sum(part.bytes for part in rank.device if not part.transient)
    return max(rank.device_bytes + CUDA, resident + server.device_bytes)
