"""What the processes of a run hold, in bytes, from its configuration and its model's size.

Weights, gradients and the optimizer's state are counted (Rajbhandari et al. 2020, arXiv 1910.02054,
section 3); activations are estimated from what autograd keeps in a layer, the way of Korthikanti et
al. 2022 (arXiv 2205.05198, section 4), for transformers' layers under fused attention; what
libraries take was measured, or is a round number where there was no GPU.
"""

import math
from dataclasses import dataclass

from jobs.sizing.model_size import Layers, ModelSize
from physrl.config.run import RunConfig
from physrl.errors import ConfigError
from physrl.tasks import TASKS

WIDTHS = {"float32": 4, "bfloat16": 2}
"""Bytes of a number."""
NF4_BITS = 4.127
"""A weight's 4 bits and its share of the twice quantized constants (Dettmers et al. 2023, arXiv
2305.14314, section 3)."""
MOMENTS, MASTER = 8, 4
"""Bytes that AdamW, and DeepSpeed's own copy of the weights, hold of a trained weight."""
BUCKET, LIVE = 5e8, 1e9
"""Numbers in DeepSpeed's reduction buffer, and those that stage 3 gathers at most."""
TILES = {0: 1 << 22, 1: 1 << 25}
"""Logits that are held at once, without and with a GPU."""
RANK_PROCESS, SERVER_PROCESS, WORKER_PROCESS, DRIVER = 0.95e9, 1.4e9, 0.25e9, 0.25e9
"""Resident memory with nothing loaded yet, measured on a CPU."""
RAY = 0.5e9
"""Ray's own processes."""
CUDA = 1.0e9
"""A process's context, NCCL and work spaces."""
SERVER_WORK = 2.0e9
"""What vLLM captures and computes in, besides weights and cache."""


@dataclass(frozen=True, slots=True)
class Part:
    """Something that a process holds."""

    name: str
    bytes: float
    estimated: bool = False
    passing: bool = False
    """Held during an update alone."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """What one process holds on a GPU of its own, and in the host's memory: all, without one."""

    device: tuple[Part, ...]
    host: tuple[Part, ...]

    @property
    def device_bytes(self) -> float:
        return sum(part.bytes for part in self.device)

    @property
    def host_bytes(self) -> float:
        return sum(part.bytes for part in self.host)


def rank_footprint(config: RunConfig, size: ModelSize) -> Footprint:
    """One learner rank at the height of an update."""
    runtime = config.runtime
    stage, ranks = zero_stage(config), runtime.learner_ranks
    width = WIDTHS[config.model.dtype]
    weights = Part("weights", base_bytes(config, size) / (ranks if stage == 3 else 1))
    if config.model.lora is not None:
        weights = Part("weights", weights.bytes + size.trained * width)
    # Below stage 2 each rank holds all gradients; with DeepSpeed they are summed in float32.
    gradients = Part("gradients", 4 * size.trained / (ranks if stage >= 2 else 1))
    optimizer = Part("optimizer", optimizer_bytes(config, size) / (ranks if stage else 1))
    passing = [Part("activations", activation_bytes(config, size), True, passing=True)]
    if stage == 3:
        gathered = min(size.parameters, LIVE) + size.head
        passing.append(Part("gathered weights", gathered * width, True, passing=True))
    if not runtime.gpus_per_rank:
        process = Part("process", RANK_PROCESS, estimated=True)
        return Footprint((), (weights, gradients, optimizer, *passing, process))
    if stage:
        passing.append(Part("reduction buffer", BUCKET * width))
    passing.append(Part("CUDA", CUDA, estimated=True))
    process = Part("process", RANK_PROCESS, estimated=True)
    held = {
        "none": ((weights, gradients, optimizer), ()),
        "optimizer": ((weights,), (gradients, optimizer)),
        "all": ((), (weights, gradients, optimizer)),
    }
    device, host = held[runtime.offload]
    return Footprint((*device, *passing), (*host, process))


def server_footprint(config: RunConfig, size: ModelSize) -> Footprint:
    """One inference server, or each GPU of a server that vLLM splits over several.

    Of a 4-bit base it holds the dequantized weights.
    """
    width = WIDTHS[config.model.dtype]
    adapter = size.trained if config.model.lora is not None else 0
    held = (
        Part("weights", (size.parameters + adapter) * width / server_parts(config)),
        Part("key-value cache", config.runtime.kv_cache_mb << 20),
    )
    process = Part("process", SERVER_PROCESS, estimated=True)
    if not config.runtime.gpus_per_server:
        return Footprint((), (*held, process))
    work = Part("graphs and work spaces", SERVER_WORK, estimated=True)
    return Footprint((*held, work), (process,))


def shared_gpu_bytes(rank: Footprint, server: Footprint) -> float:
    """Of a GPU on which a rank and a server take turns: the server sleeps, the rank stays."""
    staying = sum(part.bytes for part in rank.device if not part.passing)
    return max(rank.device_bytes + CUDA, staying + server.device_bytes)


def server_parts(config: RunConfig) -> int:
    """GPUs that vLLM splits a server's weights and cache over.

    Raises:
        ConfigError: their number is none.
    """
    parts = 1
    for key in ("tensor_parallel_size", "pipeline_parallel_size"):
        number = config.runtime.vllm.get(key, 1)
        if not isinstance(number, int) or number < 1:
            raise ConfigError(f"runtime.vllm.{key} is {number!r}: set it to a number of GPUs")
        parts *= number
    return parts


def zero_stage(config: RunConfig) -> int:
    """What DeepSpeed runs: bfloat16 needs stage 2, which sums gradients in float32."""
    stage = config.runtime.zero_stage
    return max(stage, 2) if config.model.dtype == "bfloat16" else stage


def base_bytes(config: RunConfig, size: ModelSize) -> float:
    """The base's weights, or all weights."""
    width = WIDTHS[config.model.dtype]
    if config.model.quantization is None:
        return size.parameters * width
    return size.linear * NF4_BITS / 8 + (size.parameters - size.linear) * width


def optimizer_bytes(config: RunConfig, size: ModelSize) -> float:
    """AdamW's two moments and, under ZeRO, the float32 weights that it steps; of all ranks."""
    return size.trained * (MOMENTS + (MASTER if zero_stage(config) else 0))


def adapter_bytes(config: RunConfig, size: ModelSize) -> float:
    """What the adapter, or where all weights are trained the model, takes on disk."""
    return size.trained * WIDTHS[config.model.dtype]


def checkpoint_bytes(config: RunConfig, size: ModelSize) -> float:
    """The trained weights for people, for DeepSpeed again, and the optimizer's state.

    Stage 3 has no weights besides the optimizer's own.
    """
    copies = 1 if zero_stage(config) == 3 else 2
    return copies * adapter_bytes(config, size) + optimizer_bytes(config, size)


def cache_bytes_per_token(config: RunConfig, size: ModelSize) -> float:
    """Keys and values of one token in all layers, or in a GPU's part of them."""
    language = size.language
    whole = 2 * language.count * language.keys * WIDTHS[config.model.dtype]
    return whole / server_parts(config)


def longest_sequence(config: RunConfig) -> int:
    """Tokens of the longest prompt and completion."""
    return config.model.max_prompt_tokens + config.model.max_completion_tokens


def activation_bytes(config: RunConfig, size: ModelSize) -> float:
    """What a micro-batch's forward pass keeps for the way back, and the tile of logits."""
    patches = _pictures(config) * (config.environment.image_size // size.patch) ** 2
    kept = _stack_bytes(config, size.language, _tokens(config))
    lora = config.model.lora
    if lora is None or lora.vision:
        kept += _stack_bytes(config, size.vision, patches)
    else:  # nothing is kept of what nothing is trained in
        kept += patches * layer_bytes_per_token(size.vision, config.model.dtype)
    return kept + 4 * TILES[config.runtime.gpus_per_rank]


def layer_bytes_per_token(layers: Layers, dtype: str) -> float:
    """What autograd keeps of one token, or patch, in one layer.

    Of the hidden width 6: input, normalized input and output of two norms. Of the queries 2, keys
    and values 1 each, of the MLP 4: gate, activated gate, other half and their product. In half
    precision the norms compute on a float32 copy.
    """
    numbers = 6 * layers.hidden + 2 * layers.queries + 2 * layers.keys + 4 * layers.intermediate
    copies = 4 * layers.hidden if dtype == "bfloat16" else 0
    return numbers * WIDTHS[dtype] + copies


def _stack_bytes(config: RunConfig, layers: Layers, tokens: float) -> float:
    """All layers, and once more the one under way; checkpointed, inputs alone and two layers."""
    layer = layer_bytes_per_token(layers, config.model.dtype)
    if not config.model.gradient_checkpointing:
        return tokens * layer * (layers.count + 1)
    inputs = layers.hidden * WIDTHS[config.model.dtype]
    return tokens * (inputs * layers.count + 2 * layer)


def _attempts(config: RunConfig) -> int:
    """Of the trained task that allows most."""
    return max(TASKS[task].attempts for task in config.tasks)


def _tokens(config: RunConfig) -> int:
    """Of one micro-batch, at most: a row that is longer than the budget goes alone."""
    algorithm, longest = config.algorithm, longest_sequence(config)
    rows = algorithm.completions_per_step * _attempts(config)
    share = math.ceil(rows / (algorithm.updates_per_rollout * config.runtime.learner_ranks))
    return min(max(config.runtime.tokens_per_micro_batch, longest), share * longest)


def _pictures(config: RunConfig) -> int:
    """Of one micro-batch, at most."""
    rows = math.ceil(_tokens(config) / longest_sequence(config))
    attempts = _attempts(config)
    # After a first attempt, every row shows pictures of its own.
    return math.ceil(rows / config.algorithm.group_size) if attempts == 1 else rows * attempts
