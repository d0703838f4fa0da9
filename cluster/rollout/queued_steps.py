"""The queued steps in a checkpoint: completions that were sampled and not yet trained on.

Scenes, images and outcomes are functions of the scenes' indices and of the completions, so a
checkpoint stores the completions alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from physrl.types import Generation, RolloutGroup

FOLDER = "queue"


@dataclass(frozen=True, slots=True)
class QueuedStep:
    """The completions of a step that has not been trained on."""

    scenes: tuple[str, ...]
    """Ids of the scenes that were rolled out, in order."""
    generations: dict[str, Generation]
    """Completions of each prompt, by its id."""


_ADAPTER = TypeAdapter(QueuedStep)


def save_queued_step(checkpoint: Path, step: int, records: Sequence[RolloutGroup]) -> None:
    """Write a queued step into a checkpoint's folder; steps count from 0."""
    path = checkpoint / FOLDER / f"step-{step + 1:08d}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(_ADAPTER.dump_json(queued_step(records)))


def load_queued_steps(checkpoint: Path) -> dict[int, QueuedStep]:
    """Read the queued steps of a checkpoint; steps count from 0."""
    return {
        int(path.stem.removeprefix("step-")) - 1: _ADAPTER.validate_json(path.read_bytes())
        for path in sorted((checkpoint / FOLDER).glob("step-*.json"))
    }


def queued_step(records: Sequence[RolloutGroup]) -> QueuedStep:
    """Collect the completions of groups."""
    generations: dict[str, Generation] = {}
    for record in records:
        for attempt in record.attempts:
            name = attempt.prompt.prompt_id
            before = generations.get(name, Generation(attempt.prompt_token_ids, ()))
            completions = (*before.completions, attempt.completion)
            generations[name] = Generation(attempt.prompt_token_ids, completions)
    return QueuedStep(tuple(record.scene.scene_id for record in records), generations)
