"""The learner on a GPU: accuracy of its head, and an update of a Qwen2.5-VL of 3 B parameters.

    python tests/benchmarks/gpu_learner.py            needs torch, transformers, peft, deepspeed
    python tests/benchmarks/gpu_learner.py --tiny     the same path on the CPU with a tiny model

Weights are random. A part that runs out of memory is reported and the others continue. Prints one
JSON line last.

Model FLOPs utilization (MFU) is 4 P D / (t peak) under adapters: 2 P D forward and 2 P D for the
activations' gradient, with P parameters, D tokens and t seconds. Neither recomputation (gradient
checkpointing) nor attention counts. `peak` is the device's dense bfloat16 figure.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from physrl.algorithms.update import Learner
from physrl.config.load import validate
from physrl.config.run import RunConfig
from physrl.data.collate import Collator
from physrl.data.rows import share_rows
from physrl.models.linear_scores import linear_scores
from physrl.models.loading import peft_config
from physrl.models.processor import load_processor
from physrl.models.tiny import tiny_config
from physrl.training_records import TrainingBatch, TrainingExample
from physrl.types import Prompt

BASE = Path(__file__).parents[2] / "assets/tiny-base"
PEAKS = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L40S": 362e12, "B200": 2250e12}
VOCABULARY = 151_936


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiny", action="store_true", help="a tiny model on the CPU")
    parser.add_argument("--sequences", type=int, default=32)
    parser.add_argument("--completion", type=int, default=512, help="tokens of a completion")
    options = parser.parse_args()
    if not options.tiny and not torch.cuda.is_available():
        print("error: no GPU found: run on a machine with one, or add --tiny", file=sys.stderr)
        sys.exit(2)
    device = torch.device("cpu" if options.tiny else "cuda")
    sequences, completion = (4, 8) if options.tiny else (options.sequences, options.completion)
    tokens, width, vocabulary = (64, 16, 512) if options.tiny else (4096, 2048, VOCABULARY)
    figures: dict[str, Any] = {
        "device": "cpu" if options.tiny else torch.cuda.get_device_name(),
        "agreement_float32": measured(lambda: agreement(torch.float32, device)),
        "agreement_bfloat16": measured(lambda: agreement(torch.bfloat16, device)),
        "head_tiled": measured(lambda: head(linear_scores, tokens, width, vocabulary, device)),
        "head_naive": measured(lambda: head(naive_scores, tokens, width, vocabulary, device)),
        "update": measured(lambda: update(options.tiny, sequences, completion, device)),
    }
    print(json.dumps(figures))


def measured(part: Callable[[], Any]) -> Any:
    """Run a part; return its figures, or the error where it runs out of memory."""
    try:
        return part()
    except torch.OutOfMemoryError as error:
        return {"error": str(error).splitlines()[0]}
    finally:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()


def naive_scores(
    states: Tensor, weight: Tensor, bias: None, tokens: Tensor, banned: Any, temperature: float
) -> tuple[Tensor, Tensor]:
    logits = (states @ weight.t()).float() / temperature
    normal = logits.index_fill(1, torch.tensor(banned, device=logits.device), -1e30).log_softmax(-1)
    entropies = -(normal.exp() * normal).sum(dim=-1)
    return normal.gather(1, tokens[:, None])[:, 0], entropies


def agreement(dtype: torch.dtype, device: torch.device) -> dict[str, float]:
    """Compute the largest relative differences from float64 on the same device."""
    torch.manual_seed(0)
    states = torch.randn(700, 64, device=device).to(dtype)
    weight = (torch.randn(5000, 64, device=device) / 4).to(dtype)
    tokens = torch.randint(8, 5000, (700,), device=device)
    weights = torch.linspace(-1, 1, 700, device=device)
    found = []
    for function, kind in ((linear_scores, dtype), (naive_scores, torch.float64)):
        leaves = [x.to(kind).detach().requires_grad_() for x in (states, weight)]
        logprobs, entropies = function(*leaves, None, tokens, (3, 4), 0.9)
        (logprobs * weights + 0.1 * entropies).sum().backward()
        found.append([logprobs.detach(), entropies.detach(), *(leaf.grad for leaf in leaves)])
    names = ("logprobs", "entropies", "grad_states", "grad_weight")
    return {
        name: float((one.double() - other).abs().max() / other.abs().max().clamp(min=1))
        for name, one, other in zip(names, *found, strict=True)
    }


def head(function: Any, count: int, width: int, vocabulary: int, device: torch.device) -> Any:
    """Measure loss and backward pass in bfloat16; the second of two runs counts."""
    states = torch.randn(count, width, device=device).bfloat16().requires_grad_()
    weight = (torch.randn(vocabulary, width, device=device) / 50).bfloat16().requires_grad_()
    tokens = torch.randint(8, vocabulary, (count,), device=device)
    for _ in range(2):
        before = reset_memory(device)
        start = now(device)
        function(states, weight, None, tokens, (3,), 0.9)[0].sum().backward()
        seconds = now(device) - start
    return {"seconds": round(seconds, 4), "peak_gib": peak_gib(device, before)}


def update(tiny: bool, sequences: int, completion: int, device: torch.device) -> Any:
    """Measure a GRPO update under LoRA and DeepSpeed, with the learner of a run."""
    from physrl.models.deepspeed_engine import DeepSpeedEngine, join_ranks, open_store

    processor = load_processor(str(BASE))
    collator = Collator(processor)
    config = run_config(tiny, completion)
    model = build_model(tiny, processor, config, device)
    os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
    join_ranks(0, 1, open_store("127.0.0.1", 0, 1, serves=True))
    engine = DeepSpeedEngine(model, config.algorithm, 0 if tiny else 2)
    learner = Learner(engine, collator, config)
    batch = random_batch(sequences, completion)
    lengths = [collator.prompt_length(e.prompt) + completion for e in batch.examples]
    learner.update(batch, 0)
    reset_memory(device)
    start = now(device)
    metrics = learner.update(batch, 1)
    seconds = now(device) - start
    # The vision tower, which runs once for several rows, does not count.
    parameters = sum(w.numel() for name, w in model.named_parameters() if "visual" not in name)
    # A prompt is computed once for all of its completions.
    rows = share_rows(batch.examples, collator.prompt_length)
    repeated = sum(lengths[row[0]] - completion for row in rows for _ in row[1:])
    flops = 4 * parameters * (sum(lengths) - repeated) / seconds
    known = [peak for name, peak in PEAKS.items() if not tiny and name in device_name(device)]
    return {
        "parameters": parameters,
        "tokens": sum(lengths),
        "seconds": round(seconds, 3),
        "tokens_per_s": round(sum(lengths) / seconds, 1),
        "peak_gib": peak_gib(device, 0),
        "mfu": round(flops / known[0], 4) if known else None,
        "device_peak_flops": known[0] if known else None,
        "grad_norm": round(metrics["grad_norm"], 6),
    }


def run_config(tiny: bool, completion: int) -> RunConfig:
    return validate(
        {
            "model": {
                "path": str(BASE),
                "lora": {"rank": 4 if tiny else 16},
                "dtype": "float32" if tiny else "bfloat16",
                "max_completion_tokens": completion,
            },
            "algorithm": {
                "type": "grpo",
                "steps": 4,
                # The sampler's log-probabilities are made up.
                "importance_sampling_mode": "none",
            },
            "runtime": {"tokens_per_micro_batch": 256 if tiny else 8192},
        }
    )


def build_model(tiny: bool, processor: Any, config: RunConfig, device: torch.device) -> Any:
    """Build a random Qwen2.5-VL with adapters, of the 3 B checkpoint's shape or tiny."""
    from peft import get_peft_model
    from transformers import Qwen2_5_VLForConditionalGeneration

    shape = tiny_config(processor.tokenizer)
    if not tiny:
        text, vision = shape.text_config, shape.vision_config
        text.vocab_size, text.hidden_size, text.intermediate_size = VOCABULARY, 2048, 11_008
        text.num_hidden_layers, text.num_attention_heads, text.num_key_value_heads = 36, 16, 2
        text.layer_types = ["full_attention"] * 36
        text.max_position_embeddings = 32_768
        text.rope_parameters |= {"rope_theta": 1e6, "mrope_section": [16, 24, 24]}
        vision.depth, vision.hidden_size, vision.intermediate_size = 32, 1280, 3420
        vision.num_heads, vision.out_hidden_size = 16, 2048
        vision.fullatt_block_indexes = [7, 15, 23, 31]
    with device:
        torch.manual_seed(0)
        torch.set_default_dtype(torch.float32 if tiny else torch.bfloat16)
        model = Qwen2_5_VLForConditionalGeneration(shape)
        torch.set_default_dtype(torch.float32)
    model.gradient_checkpointing_enable({"use_reentrant": False})
    assert config.model.lora is not None
    return get_peft_model(model, peft_config(config.model.lora, model))


def random_batch(sequences: int, completion: int) -> TrainingBatch:
    """Draw random completions and images, four completions per image."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (-(-sequences // 4), 84, 84, 3), dtype=np.uint8)
    prompts = [Prompt.ask(str(i), "Where is the block?", image) for i, image in enumerate(images)]
    ids = rng.integers(20, 90, (sequences, completion)).tolist()
    return TrainingBatch(
        tuple(
            TrainingExample(prompts[row // 4], tuple(one), (-1.0) ** row, (-6.0,) * completion)
            for row, one in enumerate(ids)
        )
    )


def now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def reset_memory(device: torch.device) -> int:
    if device.type != "cuda":
        return 0
    torch.cuda.reset_peak_memory_stats()
    return int(torch.cuda.memory_allocated())


def peak_gib(device: torch.device, before: int) -> float | None:
    """Return the peak memory above `before`; None on a CPU."""
    if device.type != "cuda":
        return None
    return round((torch.cuda.max_memory_allocated() - before) / 2**30, 2)


def device_name(device: torch.device) -> str:
    return str(torch.cuda.get_device_name(device))


if __name__ == "__main__":
    main()
