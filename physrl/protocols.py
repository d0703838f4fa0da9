"""What generates completions, without saying who provides it."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from physrl.types import Generation, Prompt

Weights = Mapping[str, Any]
"""Full weights: transformers' `state_dict()` names (tied head included) to numpy arrays or torch
tensors."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How completions are drawn.

    A prompt's completions depend on its id, `seed` and the weights alone, and not on what else is
    in the batch; so prompts that are asked again need another seed.

    Raises:
        ValueError: a greedy group of more than one completion, all of which would be the same.
    """

    group_size: int
    """Completions of each prompt."""
    temperature: float
    """What the logits are divided by; 0 is greedy, with log-probabilities as at temperature 1."""
    max_tokens: int
    """Longest completion, its closing token included."""
    seed: int

    def __post_init__(self) -> None:
        if self.temperature == 0 and self.group_size != 1:
            raise ValueError(
                f"group_size is {self.group_size}: greedy completions are equal; ask for 1"
            )


class Generator(Protocol):
    """Draws groups of completions."""

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Generation]:
        """One group a prompt, in the prompts' order, all of one policy version.

        Raises:
            GenerationError: a prompt is too long, or the generator broke its contract.
        """
        ...


def prompt_seed(prompt_id: str, sampling: Sampling) -> int:
    """The seed of a prompt's first completion; completion i of the group has this plus i.

    Multiples of the group's size, so that two prompts share all of their noise or none.
    """
    digest = hashlib.sha256(f"{sampling.seed}/{prompt_id}".encode()).digest()
    # torch's generator on CPU reads 32 bits.
    groups = (1 << 32) // sampling.group_size
    return int.from_bytes(digest[:8]) % groups * sampling.group_size
