"""Rollout groups, in progress and complete.

A complete group consists of the numbers that the controller needs, and a handle that reads the
record with its images: the record itself in one process, a reference into the object store on a
cluster.
"""

from collections.abc import Callable
from dataclasses import dataclass

from physrl.types import Prompt, Reward, RolloutGroup, Status


@dataclass(frozen=True, slots=True)
class GroupState:
    """A group in progress: its rollouts so far, and the prompts of the next turn."""

    index: int
    """Index of the scene in its source."""
    record: RolloutGroup
    """The group so far; it has no rollouts before the first turn."""
    prompts: tuple[Prompt, ...]
    """The first prompt, then one for each rollout that goes on; empty once all are done."""


@dataclass(frozen=True, slots=True)
class AttemptSummary:
    """The numbers of an attempt."""

    tokens: int
    """Length of the completion."""
    truncated: bool
    status: Status
    policy_version: int
    predicted: bool | None
    """True if the auxiliary prediction was right; None without one."""


@dataclass(frozen=True, slots=True)
class RolloutSummary:
    """The numbers of a rollout."""

    reward: Reward
    success: bool
    attempts: tuple[AttemptSummary, ...]

    @property
    def longest(self) -> int:
        """Tokens of the longest completion."""
        return max(attempt.tokens for attempt in self.attempts)


@dataclass(frozen=True, slots=True)
class Group:
    """A complete group: the numbers of its rollouts, and a handle to its record."""

    index: int
    """Index of the scene in its source."""
    task: str
    rollouts: tuple[RolloutSummary, ...]
    read: Callable[[], RolloutGroup]
    """Reads the record: scene, prompts, completions, actions and outcomes."""

    @property
    def attempts(self) -> tuple[AttemptSummary, ...]:
        """The attempts of all rollouts, rollout by rollout."""
        return tuple(attempt for rollout in self.rollouts for attempt in rollout.attempts)

    @property
    def policy_versions(self) -> frozenset[int]:
        """Versions of the policies that the completions were sampled from."""
        return frozenset(attempt.policy_version for attempt in self.attempts)


@dataclass(frozen=True, slots=True)
class InMemory:
    """The handle of a record in this process."""

    record: RolloutGroup

    def __call__(self) -> RolloutGroup:
        return self.record


def summarize(record: RolloutGroup) -> tuple[RolloutSummary, ...]:
    """Summarize the rollouts of a group, in their order."""
    return tuple(
        RolloutSummary(
            rollout.reward,
            rollout.last.outcome.success,
            tuple(
                AttemptSummary(
                    tokens=len(attempt.completion.token_ids),
                    truncated=attempt.completion.truncated,
                    status=attempt.outcome.status,
                    policy_version=attempt.completion.policy_version,
                    predicted=None
                    if attempt.predicted is None
                    else attempt.predicted == attempt.outcome.motion,
                )
                for attempt in rollout.attempts
            ),
        )
        for rollout in record.rollouts
    )


def local_group(state: GroupState) -> Group:
    """Make the group of a complete state in this process."""
    record = state.record
    return Group(state.index, record.scene.task, summarize(record), InMemory(record))
