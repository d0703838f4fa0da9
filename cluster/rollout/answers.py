"""What was answered about scenes and not yet learned from, as it lies in a checkpoint.

Scenes, pictures and outcomes are functions of the scenes' indices and of the answers, so the
answers are all that is kept.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import TypeAdapter

from physrl.types import Generation, RolloutGroup

FOLDER = "queue"
Indexed = tuple[int, RolloutGroup]
"""A group, and the index of its scene in the source that it came from."""
Answered = dict[int, tuple[tuple[Generation, ...], ...]]
"""By a scene's index, its attempts: first a group, then one completion for each rollout that tried
again."""
_ANSWERED = TypeAdapter(Answered)


def answers_in(groups: Sequence[Indexed]) -> Answered:
    """The answers that rollouts hold."""
    return {index: _attempts(group) for index, group in groups}


def answers_of(answered: Answered, indices: Sequence[int], attempt: int) -> list[Generation]:
    """What is answered to the prompts of an attempt, in the order of scenes and their rollouts."""
    tried = (answered[index] for index in indices)
    return [one for attempts in tried if len(attempts) > attempt for one in attempts[attempt]]


def save_answered(steps: Mapping[int, Answered], checkpoint: Path) -> None:
    """Write the steps that wait into a checkpoint's folder."""
    for step, kept in steps.items():
        path = checkpoint / FOLDER / f"step-{step + 1:08d}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(_ANSWERED.dump_json(kept))


def load_answered(checkpoint: Path) -> dict[int, Answered]:
    """The steps that waited when a checkpoint was made."""
    return {
        int(path.stem.removeprefix("step-")) - 1: _ANSWERED.validate_json(path.read_bytes())
        for path in sorted((checkpoint / FOLDER).glob("step-*.json"))
    }


def _attempts(group: RolloutGroup) -> tuple[tuple[Generation, ...], ...]:
    rollouts = group.rollouts
    first = Generation(
        rollouts[0].attempts[0].prompt_token_ids,
        tuple(rollout.attempts[0].completion for rollout in rollouts),
    )
    most = max(len(rollout.attempts) for rollout in rollouts)
    later = [
        tuple(
            Generation(each.prompt_token_ids, (each.completion,))
            for each in (r.attempts[attempt] for r in rollouts if len(r.attempts) > attempt)
        )
        for attempt in range(1, most)
    ]
    return ((first,), *later)
