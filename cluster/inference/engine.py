"""One vLLM engine around a Qwen-VL checkpoint, in this process.

Prompts go in as chat text and images, and come back as completions with the log-probability of each
sampled token.
"""

import itertools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cluster.inference.environment import engine_environment
from cluster.weights.policy import Policy
from cluster.weights.sync import FetchedWeights
from physrl.config.model import ModelConfig
from physrl.config.runtime import RuntimeConfig
from physrl.data.collate import Collator
from physrl.errors import GenerationError
from physrl.models.processor import load_processor
from physrl.protocols import Sampling, Weights, prompt_seed
from physrl.types import Completion, Generation, Prompt

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


@dataclass(frozen=True, slots=True)
class _Adapter:
    """An adapter that vLLM knows: it may read the files again, so they stay."""

    request: Any
    weights: FetchedWeights


class VLLMEngine:
    """Samples groups of completions from policies of one base checkpoint.

    Adapters are served side by side, up to `max_adapters` in a batch; a policy of full weights
    replaces the checkpoint's.
    """

    def __init__(
        self, model: ModelConfig, runtime: RuntimeConfig, *, seed: int, max_adapters: int = 1
    ) -> None:
        os.environ.update(engine_environment(model, runtime))
        from vllm import LLM

        from cluster.weights import in_process

        processor = load_processor(model.path)
        self._tokenizer = processor.tokenizer
        self._collator = Collator(processor)
        self._model = model
        self._adapters: dict[str, _Adapter] = {}
        """The newest adapter of each policy."""
        self._adapter_ids = itertools.count(1)
        self._weights: Policy | None = None
        """The policy whose full weights the engine holds; None: the checkpoint's."""
        self._valid = True
        """Whether the last load of full weights went through."""
        options: dict[str, Any] = {
            "model": model.path,
            "dtype": model.dtype,
            "seed": seed,
            "kv_cache_memory_bytes": runtime.kv_cache_mb << 20,
            "max_num_seqs": runtime.max_num_seqs,
            "max_model_len": model.max_prompt_tokens + model.max_completion_tokens,
            "limit_mm_per_prompt": {"image": model.max_images, "video": 0},
            # Images are new at every step: vLLM would keep 4 GB of them, preprocessed.
            "mm_processor_cache_gb": 0,
            "logprobs_mode": "processed_logprobs",
            "weight_transfer_config": {"backend": in_process.BACKEND},
            **_device_options(model, runtime),
            **_lora_options(model, max_adapters),
        }
        self._llm = LLM(**(options | runtime.vllm))

    def load(self, weights: FetchedWeights) -> None:
        """Take a policy's weights, unless they are loaded.

        No request of an older version may be under way; where full weights change, no request at
        all.

        Raises:
            GenerationError: they do not fit the base, or a cache could not be emptied.
        """
        self._load_full(weights if weights.policy.form == "weights" else None)
        if weights.policy.form == "adapter":
            self._load_adapter(weights)

    def begin(self, prompts: Sequence[Prompt], sampling: Sampling, policy: Policy) -> "Batch":
        """Hand prompts to vLLM, which computes them in later steps beside those it has.

        Args:
            policy: one that was loaded.

        Raises:
            GenerationError: a prompt is longer than `max_prompt_tokens` (nothing is begun then), or
                the last load of weights failed.
        """
        if not self._valid:
            raise GenerationError("the last weight sync failed: load weights again")
        adapter = self._adapters[policy.name].request if policy.form == "adapter" else None
        expected = tuple(self._checked_ids(prompt) for prompt in prompts)
        request_ids = self._llm.enqueue(
            [self._inputs(prompt) for prompt in prompts],
            [self._sampling_params(prompt, sampling) for prompt in prompts],
            lora_request=adapter,
            use_tqdm=False,
        )
        # vLLM answers under the name without the random end that it adds.
        names = tuple(name.rpartition("-")[0] for name in request_ids)
        return Batch(tuple(prompts), expected, names, policy.version)

    def step(self) -> dict[str, Any]:
        """Compute one step of all requests under way; return the outputs that it finished."""
        return {output.request_id: output for output in self._llm.llm_engine.step()}

    def finish(self, batch: "Batch", outputs: Mapping[str, Any]) -> list[Generation]:
        """Read a batch's outputs, in the prompts' order.

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
        """Give up a batch that is under way."""
        self._llm.llm_engine.abort_request(list(batch.request_ids))

    def _load_adapter(self, weights: FetchedWeights) -> None:
        """Load an adapter under a name of its own, so that no cached prefix is taken for its."""
        from vllm.lora.request import LoRARequest

        policy = weights.policy
        superseded = self._adapters.get(policy.name)
        if superseded is not None:
            if superseded.weights.policy == policy:
                return
            del self._adapters[policy.name]
            self._llm.llm_engine.remove_lora(superseded.request.lora_int_id)
        name = f"{policy.name}-{policy.version}"
        request = LoRARequest(name, next(self._adapter_ids), str(weights.folder))
        try:
            self._llm.llm_engine.add_lora(request)
        except Exception as error:
            raise GenerationError(f"adapter {name} cannot be loaded: {error}") from error
        self._adapters[policy.name] = _Adapter(request, weights)

    def _load_full(self, weights: FetchedWeights | None) -> None:
        """Replace all weights, by the checkpoint's where there are no others."""
        policy = None if weights is None else weights.policy
        if policy == self._weights and self._valid:
            return
        self._valid = False
        self._llm.start_weight_update()
        self._llm.update_weights({"update_info": {"weights": self._state_dict(weights)}})
        self._llm.finish_weight_update(weight_version=str(policy and policy.version))
        # One cache alone would be silently wrong: keys and values, and encoded images.
        if not self._llm.reset_prefix_cache():
            raise GenerationError("vLLM kept its prefix cache across a weight sync")
        self._llm.llm_engine.reset_encoder_cache()
        self._weights, self._valid = policy, True

    def _state_dict(self, weights: FetchedWeights | None) -> Weights:
        """Read full weights, from a checkpoint's folder where they were not fetched."""
        if weights is not None and weights.state_dict is not None:
            return weights.state_dict
        from physrl.models.loading import load_model  # heavy, and most servers need none of it

        path = self._model.path if weights is None else str(weights.folder)
        plain = self._model.model_copy(update={"path": path, "lora": None, "adapter": None})
        try:
            state_dict: Weights = load_model(plain).state_dict()
        except OSError as error:
            raise GenerationError(f"model {path} cannot be read: {error}") from error
        return state_dict

    def sleep(self) -> None:
        """Move the weights to the host's memory and give up the cache, on a GPU that is shared."""
        self._llm.sleep(level=1)

    def wake(self) -> None:
        """Take back what `sleep` gave up."""
        self._llm.wake_up()

    def _inputs(self, prompt: Prompt) -> dict[str, Any]:
        """A prompt as vLLM takes it."""
        images = {"image": list(prompt.images)} if prompt.images else {}
        return {"prompt": self._collator.chat_text(prompt), "multi_modal_data": images}

    def _checked_ids(self, prompt: Prompt) -> tuple[int, ...]:
        if len(prompt.images) > self._model.max_images:
            raise GenerationError(
                f"prompt {prompt.prompt_id} shows {len(prompt.images)} images, more than "
                f"model.max_images={self._model.max_images}"
            )
        ids = self._collator.prompt_ids(prompt)
        if len(ids) > self._model.max_prompt_tokens:
            raise GenerationError(
                f"prompt {prompt.prompt_id} has {len(ids)} tokens, more than "
                f"model.max_prompt_tokens={self._model.max_prompt_tokens}"
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
