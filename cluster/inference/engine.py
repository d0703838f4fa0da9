"""One vLLM engine around a Qwen-VL checkpoint, in this process.

Prompts go in as chat text and a picture, and come back as completions with the log-probability of
each sampled token. New weights, an adapter or all of them, go in with every cache emptied.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.inference.environment import engine_environment
from physrl.config.model import ModelConfig
from physrl.config.runtime import RuntimeConfig
from physrl.data.collate import Collator
from physrl.errors import GenerationError
from physrl.models.processor import load_processor
from physrl.protocols import Sampling, Weights, prompt_seed
from physrl.types import Completion, Generation, Prompt

ADAPTER_ID = 1
"""vLLM's number for the one adapter slot; versions differ by name."""
CPU_BLOCK_SIZE = 32
"""Tokens of a cache block; the default of 128 keeps short prompts out of the prefix cache."""
BAN = -100.0
"""Added to the logits of tokens that must not be sampled: the least that vLLM takes."""
LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""The slot sizes that vLLM offers; an adapter fits any that is not smaller."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Prompts that are under way together."""

    prompts: tuple[Prompt, ...]
    prompt_token_ids: tuple[tuple[int, ...], ...]
    """As the learner will see them."""
    request_ids: tuple[str, ...]
    policy_version: int


class VLLMEngine:
    """Generates groups of completions and takes new weights; version 0 is the checkpoint.

    A start adapter (`model.adapter`) is not loaded here: push it with `load_adapter(..., 0)`.
    """

    def __init__(
        self, model: ModelConfig, runtime: RuntimeConfig, *, seed: int, max_adapters: int = 1
    ) -> None:
        os.environ.update(engine_environment(model, runtime))
        from vllm import LLM

        from cluster.weights import in_process as weight_transfer

        processor = load_processor(model.path)
        self._tokenizer = processor.tokenizer
        self._collator = Collator(processor)
        self._max_prompt_tokens = model.max_prompt_tokens
        self._max_images = model.max_images
        self._adapter: Any = None
        self._version: int | None = 0
        options: dict[str, Any] = {
            "model": model.path,
            "dtype": model.dtype,
            "seed": seed,
            "kv_cache_memory_bytes": runtime.kv_cache_mb << 20,
            "max_num_seqs": runtime.max_num_seqs,
            "max_model_len": model.max_prompt_tokens + model.max_completion_tokens,
            "limit_mm_per_prompt": {"image": model.max_images, "video": 0},
            # Pictures are new at every step: vLLM would keep 4 GB of them, preprocessed.
            "mm_processor_cache_gb": 0,
            "logprobs_mode": "processed_logprobs",
            "weight_transfer_config": {"backend": weight_transfer.BACKEND},
            **_device_options(model, runtime),
            **_lora_options(model, max_adapters),
        }
        self._llm = LLM(**(options | runtime.vllm))

    @property
    def policy_version(self) -> int:
        """The version of the weights.

        Raises:
            GenerationError: the last sync failed half-way, so the weights are of no version.
        """
        if self._version is None:
            raise GenerationError("the last weight sync failed: load weights again")
        return self._version

    def begin(self, prompts: Sequence[Prompt], sampling: Sampling) -> "Batch":
        """Hand prompts to vLLM, which computes them in later steps, beside those it has.

        Raises:
            GenerationError: a prompt is longer than `max_prompt_tokens` (nothing is begun then), or
                the last sync failed.
        """
        version = self.policy_version
        expected = tuple(self._checked_ids(prompt) for prompt in prompts)
        request_ids = self._llm.enqueue(
            [self._inputs(prompt) for prompt in prompts],
            [self._sampling_params(prompt, sampling) for prompt in prompts],
            lora_request=self._adapter,
            use_tqdm=False,
        )
        # vLLM answers under the name without the random end that it adds.
        names = tuple(name.rpartition("-")[0] for name in request_ids)
        return Batch(tuple(prompts), expected, names, version)

    def step(self) -> dict[str, Any]:
        """One step of all that is under way: vLLM's outputs that it finished, by request."""
        return {output.request_id: output for output in self._llm.llm_engine.step()}

    def finish(self, batch: "Batch", outputs: Mapping[str, Any]) -> list[Generation]:
        """What a batch's outputs say, in the prompts' order.

        Raises:
            GenerationError: vLLM saw another prompt than the learner will.
        """
        return [
            self._generation(prompt, ids, outputs[name], batch.policy_version)
            for prompt, ids, name in zip(
                batch.prompts, batch.prompt_token_ids, batch.request_ids, strict=True
            )
        ]

    def abort(self, batch: "Batch") -> None:
        """Forget a batch that is under way."""
        self._llm.llm_engine.abort_request(list(batch.request_ids))

    def load_adapter(self, folder: Path, version: int) -> None:
        """Put a PEFT adapter in the place of the last one.

        Raises:
            GenerationError: a cache could not be emptied.
        """
        from vllm.lora.request import LoRARequest

        name, path = f"policy-{version}", str(folder)
        self._version = None
        self._llm.llm_engine.add_lora(LoRARequest(name, ADAPTER_ID, path, load_inplace=True))
        # Requests name the adapter that is loaded; in place, each would read it again.
        self._adapter = LoRARequest(name, ADAPTER_ID, path)
        self._forget()
        self._version = version

    def load_weights(self, weights: Weights, version: int) -> None:
        """Replace all weights.

        Raises:
            GenerationError: some parameters are missing, or a cache could not be emptied.
        """
        self._version = None
        self._llm.start_weight_update()
        self._llm.update_weights({"update_info": {"weights": weights}})
        self._llm.finish_weight_update(weight_version=str(version))
        self._forget()
        self._version = version

    def sleep(self) -> None:
        """Move the weights to the host's memory and give up the cache, on a GPU that is shared."""
        self._llm.sleep(level=1)

    def wake(self) -> None:
        """Take back what `sleep` gave up."""
        self._llm.wake_up()

    def _forget(self) -> None:
        """Empty what was computed with the old weights: keys and values, and encoded pictures."""
        if not self._llm.reset_prefix_cache():
            raise GenerationError("vLLM kept its prefix cache across a weight sync")
        self._llm.llm_engine.reset_encoder_cache()

    def _inputs(self, prompt: Prompt) -> dict[str, Any]:
        """A prompt as vLLM takes it."""
        images = {"image": list(prompt.images)} if prompt.images else {}
        return {"prompt": self._collator.chat_text(prompt), "multi_modal_data": images}

    def _checked_ids(self, prompt: Prompt) -> tuple[int, ...]:
        if len(prompt.images) > self._max_images:
            raise GenerationError(
                f"prompt {prompt.prompt_id} shows {len(prompt.images)} pictures, more than "
                f"model.max_images={self._max_images}"
            )
        ids = self._collator.prompt_ids(prompt)
        if len(ids) > self._max_prompt_tokens:
            raise GenerationError(
                f"prompt {prompt.prompt_id} has {len(ids)} tokens, more than "
                f"model.max_prompt_tokens={self._max_prompt_tokens}"
            )
        return ids

    def _sampling_params(self, prompt: Prompt, sampling: Sampling) -> Any:
        from vllm import SamplingParams

        return SamplingParams(
            n=sampling.group_size,
            temperature=sampling.temperature,
            max_tokens=sampling.max_tokens,
            seed=prompt_seed(prompt.prompt_id, sampling),
            logit_bias=dict.fromkeys(self._collator.banned_token_ids, BAN),
            # Zero besides the sampled one; flat: lists of numbers instead of an object a token.
            logprobs=0,
            flat_logprobs=True,
            detokenize=False,
        )

    def _generation(
        self, prompt: Prompt, expected: tuple[int, ...], output: Any, version: int
    ) -> Generation:
        ids = tuple(output.prompt_token_ids)
        if ids != expected:
            raise GenerationError(
                f"prompt {prompt.prompt_id}: vLLM saw {len(ids)} tokens that differ from the "
                f"processor's {len(expected)}"
            )
        texts = self._tokenizer.batch_decode(
            [sample.token_ids for sample in output.outputs], skip_special_tokens=True
        )
        completions = tuple(
            Completion(
                text=text,
                token_ids=tuple(sample.token_ids),
                logprobs=tuple(sample.logprobs.logprobs),
                truncated=sample.finish_reason == "length",
                policy_version=version,
            )
            for text, sample in zip(texts, output.outputs, strict=True)
        )
        return Generation(ids, completions)


def _device_options(model: ModelConfig, runtime: RuntimeConfig) -> dict[str, Any]:
    if runtime.gpus_per_server:
        # Inside of a placement group vLLM would take the whole run's for its own.
        return {
            "enable_sleep_mode": runtime.layout == "colocated",
            "distributed_executor_backend": "mp" if runtime.gpus_per_server > 1 else "uni",
        }
    longest = model.max_prompt_tokens + model.max_completion_tokens
    return {
        "enforce_eager": True,
        "block_size": CPU_BLOCK_SIZE,
        # Seeded requests crash on CPU where a prefill is cut in chunks, so no prefill is.
        "max_num_batched_tokens": runtime.max_num_seqs * longest,
    }


def _lora_options(model: ModelConfig, max_adapters: int) -> dict[str, Any]:
    if model.lora is None:
        return {}
    return {
        "enable_lora": True,
        "max_loras": max_adapters,
        "max_lora_rank": next((r for r in LORA_RANKS if r >= model.lora.rank), model.lora.rank),
        # Without it vLLM ignores what an adapter holds for the picture side.
        "enable_tower_connector_lora": model.lora.vision or model.lora.projector,
    }
