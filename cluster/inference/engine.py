"""A vLLM engine of a Qwen-VL checkpoint in this process.

It takes prompts as chat text and images, and returns completions with the log-probability of each
sampled token.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image as PillowImage

from cluster.inference.engine_options import engine_options
from cluster.weights.sync import FetchedWeights, Policy
from physrl.config.model import ModelConfig
from physrl.config.runtime import RuntimeConfig
from physrl.data.collate import Collator
from physrl.errors import GenerationError
from physrl.models.processor import configured_processor
from physrl.protocols import Sampling, Weights, prompt_seed
from physrl.types import Completion, Generation, Prompt

BAN = -100.0
"""Bias on the logits of tokens that must not be sampled: the lowest that vLLM accepts."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Prompts that were submitted together."""

    prompts: tuple[Prompt, ...]
    prompt_token_ids: tuple[tuple[int, ...], ...]
    """Token ids of each prompt as the learner computes them; with the text that is scored, if any.
    """
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
        options = engine_options(model, runtime, processor, seed=seed, max_adapters=max_adapters)
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
        expected = tuple(self._checked_ids(prompt) for prompt in prompts)
        inputs = [
            {
                "prompt": self._collator.chat_text(prompt),
                "multi_modal_data": self._images(prompt),
            }
            for prompt in prompts
        ]
        parameters = [self._sampling_params(prompt, sampling) for prompt in prompts]
        return self._submit(prompts, expected, inputs, parameters, policy)

    def begin_scoring(
        self, prompts: Sequence[Prompt], texts: Sequence[tuple[int, ...]], policy: Policy
    ) -> "Batch":
        """Submit prompts, each followed by the token ids of a text, whose tokens are scored.

        Args:
            policy: a policy that was loaded.

        Raises:
            GenerationError: as `begin`; or a prompt with its text is longer than the context.
        """
        from vllm import SamplingParams

        # A prefix of the cache has no scores, and vLLM must sample a token.
        scoring = SamplingParams(temperature=0, max_tokens=1, prompt_logprobs=0, detokenize=False)
        expected = tuple(
            self._checked_ids(prompt) + text for prompt, text in zip(prompts, texts, strict=True)
        )
        inputs = [
            {
                "prompt_token_ids": [*self._collator.text_ids(prompt), *text],
                "multi_modal_data": self._images(prompt),
            }
            for prompt, text in zip(prompts, texts, strict=True)
        ]
        return self._submit(prompts, expected, inputs, [scoring] * len(inputs), policy)

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

    def finish_scoring(self, batch: "Batch", outputs: Mapping[str, Any]) -> list[tuple[float, ...]]:
        """Return the log-probability of each token of the texts of a batch, at temperature 1.

        Raises:
            GenerationError: vLLM tokenized a prompt otherwise than the learner does.
        """
        self._leave(batch)
        scores = []
        for prompt, ids, name in zip(
            batch.prompts, batch.prompt_token_ids, batch.request_ids, strict=True
        ):
            output = outputs[name]
            _check_ids(prompt, ids, output)
            first = len(self._collator.prompt_ids(prompt))
            scores.append(
                tuple(
                    output.prompt_logprobs[place][ids[place]].logprob
                    for place in range(first, len(ids))
                )
            )
        return scores

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

    def _submit(
        self,
        prompts: Sequence[Prompt],
        expected: tuple[tuple[int, ...], ...],
        inputs: Sequence[dict[str, Any]],
        parameters: Sequence[Any],
        policy: Policy,
    ) -> "Batch":
        if not self._valid:
            raise GenerationError("the last weight sync failed: load the weights again")
        adapter = self._adapters[policy.name] if policy.form == "adapter" else None
        request_ids = self._llm.enqueue(
            inputs, parameters, lora_request=adapter and adapter.request, use_tqdm=False
        )
        if adapter is not None:
            adapter.batches += 1
        # The ids of vLLM's outputs lack the random suffix that it adds here.
        names = tuple(name.rpartition("-")[0] for name in request_ids)
        return Batch(tuple(prompts), expected, names, policy.version, adapter)

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

    @property
    def tokenizer(self) -> Any:
        """The tokenizer of the checkpoint."""
        return self._tokenizer

    @staticmethod
    def _images(prompt: Prompt) -> dict[str, Any]:
        """Convert the images of a prompt into vLLM's inputs."""
        # As Pillow's images: of an array, vLLM takes heights of 1 or 3 pixels for channels.
        images = [PillowImage.fromarray(image) for image in prompt.images]
        return {"image": images} if images else {}

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
        from vllm.sampling_params import StructuredOutputsParams

        pattern = sampling.pattern
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
            structured_outputs=pattern and StructuredOutputsParams(regex=pattern),
        )

    def _generation(
        self, prompt: Prompt, expected: tuple[int, ...], output: Any, version: int
    ) -> Generation:
        _check_ids(prompt, expected, output)
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
        return Generation(expected, completions)


def _check_ids(prompt: Prompt, expected: tuple[int, ...], output: Any) -> None:
    ids = tuple(output.prompt_token_ids)
    if ids != expected:
        raise GenerationError(
            f"prompt {prompt.prompt_id}: the {len(ids)} token ids of vLLM differ from the "
            f"{len(expected)} of the processor"
        )
