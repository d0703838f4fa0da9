"""What was answered about scenes and not yet learned from, as it lies in a checkpoint.

Scenes, pictures and outcomes are functions of the scenes' indices and of the answers, so the
answers are all that is kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from physrl.rollout import SceneSource
from physrl.types import Generation, RolloutGroup

FOLDER = "queue"


@dataclass(frozen=True, slots=True)
class Answered:
    """The answers of one step."""

    indices: tuple[int, ...]
    """Of the scenes that there is an answer to."""
    attempts: tuple[tuple[Generation, ...], ...]
    """First one group a scene; then, for each further attempt, one completion a rollout that made
    it."""


_ANSWERED = TypeAdapter(Answered)


def answered(source: SceneSource, indices: range, groups: Sequence[RolloutGroup]) -> Answered:
    """What there is to keep of a step's rollouts.

    Args:
        indices: the step's, which those of scenes that were left out are among.
    """
    places = {source.scene_id(index): index for index in indices}
    first = tuple(
        Generation(
            group.rollouts[0].attempts[0].prompt_token_ids,
            tuple(rollout.attempts[0].completion for rollout in group.rollouts),
        )
        for group in groups
    )
    rollouts = [rollout for group in groups for rollout in group.rollouts]
    most = max((len(rollout.attempts) for rollout in rollouts), default=1)
    later = [
        tuple(
            Generation(each.prompt_token_ids, (each.completion,))
            for each in (r.attempts[attempt] for r in rollouts if len(r.attempts) > attempt)
        )
        for attempt in range(1, most)
    ]
    return Answered(tuple(places[group.scene.scene_id] for group in groups), (first, *later))


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
