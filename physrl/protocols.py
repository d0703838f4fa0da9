"""Interfaces of the stages of a rollout, independent of their implementation."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

from physrl.config.reward import RewardConfig
from physrl.groups import Group
from physrl.question_source import Source
from physrl.types import Generation, Prompt

Weights = Mapping[str, Any]
"""Full weights by the names of transformers' `state_dict()` (tied head included), as numpy arrays
or torch tensors."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """Sampling parameters of completions.

    A prompt's completions depend on its id, `seed` and the weights alone, not on other prompts in
    the batch; thus another sample of the same prompt needs another seed.

    Raises:
        ValueError: greedy decoding with a group of more than one completion, which would be equal.
    """

    group_size: int
    """Number of completions of each prompt."""
    temperature: float
    """Divisor of the logits; 0 is greedy decoding, with log-probabilities as at temperature 1."""
    max_tokens: int
    """Largest number of tokens of a completion, including the end-of-sequence token."""
    seed: int
    min_p: float = 0.0
    """Smallest probability of a sampled token as a share of the likeliest one's; 0 allows all. The
    learner scores completions without it, so it is for evaluation."""
    pattern: str | None = None
    """Regular expression that constrains completions, by masking tokens; None for none. Inference
    servers alone know it, and it is for evaluation too."""
    choices: tuple[str, ...] = ()
    """Answers whose log-probabilities in place of a completion's own are measured, by inference
    servers alone: of the tokens of each, given the tokens that all of them begin with."""

    def __post_init__(self) -> None:
        if self.temperature == 0 and self.group_size != 1:
            raise ValueError(
                f"group_size is {self.group_size}: greedy completions are equal, so use 1"
            )

    @property
    def single(self) -> "Sampling":
        """The parameters of later turns, in which each rollout has a prompt of its own."""
        return replace(self, group_size=1)


@dataclass(frozen=True, slots=True, eq=False)
class RolloutRequest:
    """A request to roll out scenes, with the parameters of sampling and the reward."""

    source: Source
    indices: Sequence[int]
    sampling: Sampling
    reward: RewardConfig


class Generator(Protocol):
    """A sampler of groups of completions."""

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Generation]:
        """Sample a group for each prompt, in their order, all of one policy version.

        Raises:
            GenerationError: a prompt is too long, or the generator broke its contract.
        """
        ...


PromptT_co = TypeVar("PromptT_co", covariant=True)
PromptT_contra = TypeVar("PromptT_contra", contravariant=True)
GenerationT = TypeVar("GenerationT")


class State(Protocol[PromptT_co]):
    """A group in progress, in this process or in an object store."""

    @property
    def prompts(self) -> Sequence[PromptT_co]:
        """Prompts of the next turn; empty once the group is complete."""
        ...


StateT = TypeVar("StateT", bound=State[Any])


class Stages(Protocol[StateT, PromptT_contra, GenerationT]):
    """The stages of rollouts, each called for a single group or prompt.

    States and generations are of the implementation's types: records in this process, or references
    into an object store. Implementations may batch concurrent calls.
    """

    async def prepare(self, request: RolloutRequest, index: int) -> StateT:
        """Sample and render the scene of an index, and make its first prompt."""
        ...

    async def generate(self, prompt: PromptT_contra, sampling: Sampling) -> GenerationT:
        """Sample the completions of one prompt."""
        ...

    async def act(
        self, request: RolloutRequest, state: StateT, generations: Sequence[GenerationT]
    ) -> StateT:
        """Execute the completions of a state's prompts, and make the prompts of the next turn."""
        ...

    def complete(self, state: StateT) -> Group:
        """Return the group of a state without further prompts."""
        ...

    async def guard(
        self, request: RolloutRequest, index: int, roll_out: Callable[[], Awaitable[Group]]
    ) -> Group | None:
        """Roll out the group of an index; recover from failures, or omit the group (None)."""
        ...


def prompt_seed(prompt_id: str, sampling: Sampling) -> int:
    """Derive the seed of a prompt's first completion, to which completion i of the group adds i.

    Seeds are multiples of the group's size, so that the seeds of two prompts never overlap in part.
    """
    digest = hashlib.sha256(f"{sampling.seed}/{prompt_id}".encode()).digest()
    # torch's CPU generator uses 32 bits of a seed.
    groups = (1 << 32) // sampling.group_size
    return int.from_bytes(digest[:8]) % groups * sampling.group_size
