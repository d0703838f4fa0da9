"""A vLLM engine of a Qwen-VL checkpoint in this process.

It takes prompts as chat text and images, and returns completions with the log-probability of each
sampled token.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image as PillowImage

from cluster.weights.sync import FetchedWeights, Policy
from physrl.config.model import ModelConfig
from physrl.config.runtime import RuntimeConfig
from physrl.data.collate import Collator
from physrl.errors import GenerationError
from physrl.models.processor import configured_processor, image_size, largest_side
from physrl.protocols import Sampling, Weights, prompt_seed
from physrl.types import Completion, Generation, Prompt

CPU_BLOCK_SIZE = 32
"""Tokens of a block of the KV cache; the default of 128 excludes short prompts from the prefix
cache."""
BAN = -100.0
"""Bias on the logits of tokens that must not be sampled: the lowest that vLLM accepts."""
LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""Maximum ranks that vLLM offers for its adapter slots."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Prompts that were submitted together."""

    prompts: tuple[Prompt, ...]
    prompt_token_ids: tuple[tuple[int, ...], ...]
    """Token ids of each prompt as the learner computes them."""
    request_ids: tuple[str, ...]
    policy_version: int
    adapter: "_Adapter | None"


@dataclass(slots=True, eq=False)
class _Adapter:
    """An adapter that vLLM has loaded; its files are kept, since vLLM may read them again."""

    request: Any
    weights: FetchedWeights
    batches: int = 0
    """Number of batches in flight that use it."""


class VLLMEngine:
    """Samples groups of completions from policies of one base checkpoint.

    Up to `max_adapters` adapters share a batch; a policy of full weights replaces the weights of
    the checkpoint. The process must have the variables of `engine_environment`.
    """

    def __init__(
        self, model: ModelConfig, runtime: RuntimeConfig, *, seed: int, max_adapters: int = 1
    ) -> None:
        from vllm import LLM

        from cluster.weights import in_process

        processor = configured_processor(model)
        self._tokenizer = processor.tokenizer
        self._collator = Collator(processor)
        self._model = model
        self._adapters: dict[str, _Adapter] = {}
        """Newest adapter of each policy, by name."""
        self._adapter_ids = itertools.count(1)
        self._weights: Policy | None = None
        """Policy whose full weights are loaded; None for those of the checkpoint."""
        self._valid = True
        """True if the last load of full weights succeeded."""
        options: dict[str, Any] = {
            "model": model.path,
            "revision": model.revision,
            "tokenizer_revision": model.revision,
            "dtype": model.dtype,
            "seed": seed,
            "kv_cache_memory_bytes": runtime.kv_cache_mb << 20,
            "max_num_seqs": runtime.max_num_seqs,
            "max_model_len": model.max_prompt_tokens + model.max_completion_tokens,
            "limit_mm_per_prompt": {"image": _image_limit(model, processor), "video": 0},
            # Every step has new images, of which vLLM would keep 4 GB, preprocessed.
            "mm_processor_cache_gb": 0,
            "mm_processor_kwargs": {"size": image_size(model, processor.image_processor.size)},
            "logprobs_mode": "processed_logprobs",
            "weight_transfer_config": {"backend": in_process.BACKEND},
            "worker_extension_cls": in_process.WORKER_EXTENSION,
            "tensor_parallel_size": runtime.tensor_parallel_size,
            # Inside a placement group, vLLM's default would be to take the whole group.
            "distributed_executor_backend": "mp" if runtime.server_shards > 1 else "uni",
            **_device_options(model, runtime),
            **_lora_options(model, max_adapters),
        }
        self._llm = LLM(**(options | runtime.vllm))

    def load(self, weights: FetchedWeights) -> None:
        """Load the weights of a policy, unless they are loaded.

        If full weights change, no request may be in flight. Requests of an adapter's older version
        continue with it.

        Raises:
            GenerationError: the weights do not match the base, or a cache could not be emptied.
        """
        self._load_full(weights if weights.policy.form == "weights" else None)
        if weights.policy.form == "adapter":
            self._load_adapter(weights)

    def begin(self, prompts: Sequence[Prompt], sampling: Sampling, policy: Policy) -> "Batch":
        """Submit prompts to vLLM, which computes them in the following steps.

        Args:
            policy: a policy that was loaded.

        Raises:
            GenerationError: a prompt is longer than `max_prompt_tokens` (no prompt is submitted
                then), or the last load of weights failed.
        """
        if not self._valid:
            raise GenerationError("the last weight sync failed: load the weights again")
        adapter = self._adapters[policy.name] if policy.form == "adapter" else None
        expected = tuple(self._checked_ids(prompt) for prompt in prompts)
        request_ids = self._llm.enqueue(
            [self._inputs(prompt) for prompt in prompts],
            [self._sampling_params(prompt, sampling) for prompt in prompts],
            lora_request=adapter and adapter.request,
            use_tqdm=False,
        )
        if adapter is not None:
            adapter.batches += 1
        # The ids of vLLM's outputs lack the random suffix that it adds here.
        names = tuple(name.rpartition("-")[0] for name in request_ids)
        return Batch(tuple(prompts), expected, names, policy.version, adapter)

    def step(self) -> dict[str, Any]:
        """Run one step of all requests in flight; return the outputs that finished, by id."""
        return {output.request_id: output for output in self._llm.llm_engine.step()}

    def finish(self, batch: "Batch", outputs: Mapping[str, Any]) -> list[Generation]:
        """Convert the outputs of a batch, in the order of its prompts.

        Raises:
            GenerationError: vLLM tokenized a prompt otherwise than the learner does.
        """
        self._leave(batch)
        return [
            self._generation(prompt, ids, outputs[name], batch.policy_version)
            for prompt, ids, name in zip(
                batch.prompts, batch.prompt_token_ids, batch.request_ids, strict=True
            )
        ]

    def abort(self, batch: "Batch") -> None:
        """Abort a batch in flight."""
        self._llm.llm_engine.abort_request(list(batch.request_ids))
        self._leave(batch)

    def _leave(self, batch: "Batch") -> None:
        """Note that a batch is no longer in flight; free an adapter that only it still used."""
        adapter = batch.adapter
        if adapter is not None:
            adapter.batches -= 1
            if adapter not in self._adapters.values():
                self._free_unused(adapter)

    def _free_unused(self, adapter: _Adapter) -> None:
        if not adapter.batches:
            self._llm.llm_engine.remove_lora(adapter.request.lora_int_id)

    def _load_adapter(self, weights: FetchedWeights) -> None:
        """Load an adapter under a unique name, so that no cached prefix of another is used."""
        from vllm.lora.request import LoRARequest

        policy = weights.policy
        superseded = self._adapters.get(policy.name)
        if superseded is not None:
            if superseded.weights.policy == policy:
                return
            del self._adapters[policy.name]
            self._free_unused(superseded)
        name = f"{policy.name}-{policy.version}"
        request = LoRARequest(name, next(self._adapter_ids), str(weights.folder))
        for failure in filter(None, self._llm.collective_rpc("adapter_failure", args=(request,))):
            raise GenerationError(f"adapter {name} cannot be loaded: {failure}")
        self._adapters[policy.name] = _Adapter(request, weights)

    def _load_full(self, weights: FetchedWeights | None) -> None:
        """Replace all weights; None restores those of the checkpoint."""
        policy = None if weights is None else weights.policy
        if policy == self._weights and self._valid:
            return
        self._valid = False
        self._llm.start_weight_update()
        self._llm.update_weights({"update_info": {"weights": self._state_dict(weights)}})
        self._llm.finish_weight_update(weight_version=str(policy and policy.version))
        for failure in filter(None, self._llm.collective_rpc("weight_sync_failure")):
            raise GenerationError(f"weight sync: {failure}")
        # Both caches, of keys and values and of encoded images, would silently be stale.
        if not self._llm.reset_prefix_cache():
            raise GenerationError("vLLM kept its prefix cache across a weight sync")
        self._llm.llm_engine.reset_encoder_cache()
        self._weights, self._valid = policy, True

    def _state_dict(self, weights: FetchedWeights | None) -> Weights:
        """Return fetched weights, or read them from the folder of a checkpoint."""
        if weights is not None and weights.state_dict is not None:
            return weights.state_dict
        from physrl.models.loading import load_model  # slow, and most servers do not need it

        path = self._model.path if weights is None else str(weights.folder)
        revision = self._model.revision if weights is None else None
        plain = self._model.base.model_copy(update={"path": path, "revision": revision})
        try:
            state_dict: Weights = load_model(plain).state_dict()
        except OSError as error:
            raise GenerationError(f"model {path} cannot be read: {error}") from error
        return state_dict

    def sleep(self) -> None:
        """Move the weights to host memory and free the KV cache, on a GPU that is shared."""
        self._llm.sleep(level=1)

    def wake(self) -> None:
        """Undo `sleep`."""
        self._llm.wake_up()

    def _inputs(self, prompt: Prompt) -> dict[str, Any]:
        """Convert a prompt into vLLM's inputs."""
        # As Pillow's images: of an array, vLLM takes heights of 1 or 3 pixels for channels.
        images = [PillowImage.fromarray(image) for image in prompt.images]
        data = {"image": images} if images else {}
        return {"prompt": self._collator.chat_text(prompt), "multi_modal_data": data}

    def _checked_ids(self, prompt: Prompt) -> tuple[int, ...]:
        if len(prompt.images) > self._model.max_images:
            raise GenerationError(
                f"prompt {prompt.prompt_id} has {len(prompt.images)} images, more than "
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
            min_p=sampling.min_p,
            max_tokens=sampling.max_tokens,
            seed=prompt_seed(prompt.prompt_id, sampling),
            logit_bias=dict.fromkeys(self._collator.banned_token_ids, BAN),
            # 0: that of the sampled token alone. Flat: lists instead of an object for each token.
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
                f"prompt {prompt.prompt_id}: the {len(ids)} token ids of vLLM differ from the "
                f"{len(expected)} of the processor"
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


def _image_limit(model: ModelConfig, processor: Any) -> dict[str, int]:
    """Return the most images of a prompt, and the sides of those that vLLM tries at its start.

    Its own choice are images of 16,384 tokens, which no prompt has room for; on a CPU they take
    many minutes.
    """
    side = largest_side(model, processor)
    return {"count": model.max_images, "width": side, "height": side}


def _device_options(model: ModelConfig, runtime: RuntimeConfig) -> dict[str, Any]:
    if runtime.gpus_per_server:
        return {
            "enable_sleep_mode": runtime.layout == "colocated",
            "gpu_memory_utilization": memory_share(model, runtime, _gpu_bytes()),
        }
    longest = model.max_prompt_tokens + model.max_completion_tokens
    return {
        "enforce_eager": True,
        "block_size": CPU_BLOCK_SIZE,
        # Seeded requests crash on CPU if a prefill is chunked, so that none may be.
        "max_num_batched_tokens": runtime.max_num_seqs * longest,
    }


def memory_share(model: ModelConfig, runtime: RuntimeConfig, total: float) -> float:
    """Return the share of a GPU's memory that a server needs, by the account of `physrl doctor`.

    vLLM does not start unless this share is free. Its default of 0.92 leaves no room for another
    server on the same GPU, or for a learner rank.
    """
    from physrl.sizing.footprint import server_footprint
    from physrl.sizing.model_size import model_size

    needed = server_footprint(model, runtime, model_size(model)).device_bytes
    return min(1.0, needed / total)


def _gpu_bytes() -> int:
    import torch

    total: int = torch.cuda.get_device_properties(0).total_memory
    return total


def _lora_options(model: ModelConfig, max_adapters: int) -> dict[str, Any]:
    if model.lora is None:
        return {}
    return {
        "enable_lora": True,
        "max_loras": max_adapters,
        "max_lora_rank": next((r for r in LORA_RANKS if r >= model.lora.rank), model.lora.rank),
        # Without it, vLLM ignores an adapter's weights for the vision tower and projector.
        "enable_tower_connector_lora": model.lora.vision or model.lora.projector,
    }
