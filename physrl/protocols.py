"""Interfaces between the stages of a rollout, without saying who provides them."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

from physrl.config.reward import RewardConfig
from physrl.groups import Group
from physrl.scene_source import SceneSource
from physrl.types import Generation, Prompt

Weights = Mapping[str, Any]
"""Full weights: transformers' `state_dict()` names (tied head included) to numpy arrays or torch
tensors."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """Sampling parameters of completions.

    A prompt's completions depend on its id, `seed` and the weights alone, and not on what else is
    in the batch; so a prompt that is sampled again needs another seed.

    Raises:
        ValueError: a greedy group of more than one completion, all of which would be the same.
    """

    group_size: int
    """Completions of each prompt."""
    temperature: float
    """Divisor of the logits; 0 is greedy decoding, with log-probabilities as at temperature 1."""
    max_tokens: int
    """Longest completion, its closing token included."""
    seed: int

    def __post_init__(self) -> None:
        if self.temperature == 0 and self.group_size != 1:
            raise ValueError(
                f"group_size is {self.group_size}: greedy completions are equal; ask for 1"
            )

    @property
    def single(self) -> "Sampling":
        """The sampling of later turns, in which each rollout goes on alone."""
        return replace(self, group_size=1)


@dataclass(frozen=True, slots=True, eq=False)
class RolloutRequest:
    """Scenes to roll out, how completions are sampled, and how outcomes are rewarded."""

    source: SceneSource
    indices: Sequence[int]
    sampling: Sampling
    reward: RewardConfig


class Generator(Protocol):
    """Samples groups of completions."""

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Generation]:
        """Sample one group a prompt, in the prompts' order, all of one policy version.

        Raises:
            GenerationError: a prompt is too long, or the generator broke its contract.
        """
        ...


PromptT_co = TypeVar("PromptT_co", covariant=True)
PromptT_contra = TypeVar("PromptT_contra", contravariant=True)
GenerationT = TypeVar("GenerationT")


class State(Protocol[PromptT_co]):
    """A group in progress, wherever it lies."""

    @property
    def prompts(self) -> Sequence[PromptT_co]:
        """Prompts of the next turn; empty once the group is complete."""
        ...


StateT = TypeVar("StateT", bound=State[Any])


class Stages(Protocol[StateT, PromptT_contra, GenerationT]):
    """The stages that every rollout passes through, each for one prompt's group.

    Types are the provider's own: records in this process, or references into an object store.
    Whoever computes may batch what is awaited at once; a signature never shows it.
    """

    async def prepare(self, request: RolloutRequest, index: int) -> StateT:
        """Draw and render the scene of an index, and ask the first question."""
        ...

    async def generate(self, prompt: PromptT_contra, sampling: Sampling) -> GenerationT:
        """Sample the completions of one prompt."""
        ...

    async def act(
        self, request: RolloutRequest, state: StateT, generations: Sequence[GenerationT]
    ) -> StateT:
        """Carry out the completions of a state's prompts, and ask what follows from them."""
        ...

    def complete(self, state: StateT) -> Group:
        """Return the group of a state without further prompts."""
        ...

    async def guard(
        self, request: RolloutRequest, index: int, roll_out: Callable[[], Awaitable[Group]]
    ) -> Group | None:
        """Roll out the group of an index; recover from lost stages, or leave it out (None)."""
        ...


def prompt_seed(prompt_id: str, sampling: Sampling) -> int:
    """Derive the seed of a prompt's first completion; completion i of the group adds i.

    Seeds are multiples of the group's size, so that two prompts share all of their noise or none.
    """
    digest = hashlib.sha256(f"{sampling.seed}/{prompt_id}".encode()).digest()
    # torch's generator on CPU reads 32 bits.
    groups = (1 << 32) // sampling.group_size
    return int.from_bytes(digest[:8]) % groups * sampling.group_size
