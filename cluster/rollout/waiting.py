"""Completions of steps that wait for the learner, as they lie in a checkpoint.

Scenes, images and outcomes are functions of the scenes' indices and of the completions, so the
completions are all that is kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from physrl.types import Generation, RolloutGroup

FOLDER = "queue"


@dataclass(frozen=True, slots=True)
class WaitingStep:
    """The completions of a step that were sampled and not yet learned from."""

    scenes: tuple[str, ...]
    """Ids of the scenes that were rolled out, in their order."""
    generations: dict[str, Generation]
    """By the prompt's id."""


_ADAPTER = TypeAdapter(WaitingStep)


def save_waiting(steps: Mapping[int, Sequence[RolloutGroup]], checkpoint: Path) -> None:
    """Write the steps that wait into a checkpoint's folder."""
    for step, records in steps.items():
        path = checkpoint / FOLDER / f"step-{step + 1:08d}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(_ADAPTER.dump_json(waiting_step(records)))


def load_waiting(checkpoint: Path) -> dict[int, WaitingStep]:
    """Read the steps that waited when a checkpoint was made; steps count from 0."""
    return {
        int(path.stem.removeprefix("step-")) - 1: _ADAPTER.validate_json(path.read_bytes())
        for path in sorted((checkpoint / FOLDER).glob("step-*.json"))
    }


def waiting_step(records: Sequence[RolloutGroup]) -> WaitingStep:
    """Take the completions out of groups."""
    generations: dict[str, Generation] = {}
    for record in records:
        for attempt in record.attempts:
            name = attempt.prompt.prompt_id
            before = generations.get(name, Generation(attempt.prompt_token_ids, ()))
            completions = (*before.completions, attempt.completion)
            generations[name] = Generation(attempt.prompt_token_ids, completions)
    return WaitingStep(tuple(record.scene.scene_id for record in records), generations)
