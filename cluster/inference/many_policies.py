"""A vLLM engine for many policies of one base: adapters side by side, full weights in turn."""

from collections.abc import Sequence
from typing import Any

from cluster.inference.cell_server import PolicyFiles
from cluster.inference.engine import VLLMEngine
from physrl.config.model import ModelConfig
from physrl.config.runtime import RuntimeConfig
from physrl.errors import GenerationError
from physrl.models.loading import load_model
from physrl.protocols import Sampling
from physrl.types import Generation, Prompt

Asked = tuple[PolicyFiles, Sequence[Prompt], Sampling]


class ManyPolicies(VLLMEngine):
    """Answers batches in which each request names its policy."""

    def __init__(
        self, model: ModelConfig, runtime: RuntimeConfig, *, seed: int, adapters: int
    ) -> None:
        super().__init__(model, runtime, seed=seed, max_adapters=adapters)
        self._model = model
        self._numbers: dict[str, int] = {}
        """vLLM's number of each adapter; never given twice."""
        self._holds: str | None = None
        """The checkpoint whose weights are loaded; None: the base's."""

    def answer(self, asked: Sequence[Asked]) -> list[list[Generation]]:
        """One batch: for each request, a group of completions a prompt.

        All policies have the same full weights, and at most as many adapters as were announced.

        Raises:
            GenerationError: a prompt is too long, or weights do not fit the base.
        """
        (folder,) = {policy.model for policy, _, _ in asked}
        self._hold(folder)
        flat = [
            (prompt, self._checked_ids(prompt), sampling, self._request_of(policy))
            for policy, prompts, sampling in asked
            for prompt in prompts
        ]
        outputs = iter(
            self._llm.generate(
                [self._inputs(prompt) for prompt, _, _, _ in flat],
                [self._sampling_params(prompt, sampling) for prompt, _, sampling, _ in flat],
                lora_request=[request for _, _, _, request in flat],
                use_tqdm=False,
            )
        )
        expected = iter(flat)
        return [
            [
                self._generation(prompt, next(expected)[1], next(outputs), self.policy_version)
                for prompt in prompts
            ]
            for _, prompts, _ in asked
        ]

    def _hold(self, folder: str | None) -> None:
        """Have the full weights of a checkpoint, or the base's again."""
        if folder == self._holds:
            return
        path = self._model.path if folder is None else folder
        plain = self._model.model_copy(update={"path": path, "lora": None, "adapter": None})
        try:
            weights = load_model(plain).state_dict()
        except OSError as error:
            raise GenerationError(f"model {path} cannot be read: {error}") from error
        self.load_weights(weights, self.policy_version + 1)
        self._holds = folder

    def _request_of(self, policy: PolicyFiles) -> Any:
        from vllm.lora.request import LoRARequest

        if policy.adapter is None:
            return None
        number = self._numbers.setdefault(policy.key, len(self._numbers) + 1)
        return LoRARequest(policy.key, number, policy.adapter)
