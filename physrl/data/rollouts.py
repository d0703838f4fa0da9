"""Rollouts in Parquet: one file per step, one row per attempt."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from physrl.data.images import IMAGE, encode_image
from physrl.errors import DataError
from physrl.tasks.prediction import motion_words
from physrl.types import Action, Attempt, Offset, Reply, RolloutGroup, Unparseable, Verdict

COLUMNS: dict[str, tuple[pa.DataType, str]] = {
    "step": (pa.int64(), "Step of training, from 1"),
    "scene_id": (
        pa.string(),
        "Scene: task/split/generator/seed/index; question: questions/split/epoch/row",
    ),
    "rollout": (pa.int64(), "Index of the rollout in its group"),
    "attempt": (pa.int64(), "Index of the attempt in its rollout; 0 in tasks of one attempt"),
    "image": (IMAGE, "PNG that the question shows, in `bytes`"),
    "prompt": (pa.string(), "Text of the question"),
    "prompt_token_ids": (pa.list_(pa.int32()), "Tokens of the whole prompt at the sampler"),
    "completion": (pa.string(), "Text of the model"),
    "token_ids": (pa.list_(pa.int32()), "Tokens of the completion"),
    "logprobs": (
        pa.list_(pa.float32()),
        "Log-probability of each token under the sampling policy, in nats",
    ),
    "truncated": (pa.bool_(), "True if the completion reached model.max_completion_tokens"),
    "action_falls": (pa.bool_(), "Verdict of the answer; null in offset tasks"),
    "action_x": (
        pa.float64(),
        "Answered offset to the right, in block widths; null without a number",
    ),
    "action_y": (pa.float64(), "Answered offset upwards, in block widths; null without a number"),
    "action_text": (pa.string(), "Answer to a question about an image of your own; else null"),
    "unparseable": (pa.string(), "Reason why there is no valid answer; null if there is one"),
    "status": (
        pa.string(),
        "settled: the answer was simulated; answered: the question is about an image of your own; "
        "illegal: it puts a block inside another or below the "
        "ground; unparseable: there is no valid answer",
    ),
    "success": (pa.bool_(), "True if the attempt solved the task"),
    "height_gain": (
        pa.float64(),
        "Increase of the height of the highest block at rest, in block widths",
    ),
    "displacement": (
        pa.float64(),
        "Largest distance that a block moved after its release, in block widths; 0 unless settled",
    ),
    "distance": (
        pa.float64(),
        "Distance of the chosen position from the ideal one, in block widths; null without one",
    ),
    "first_move": (
        pa.string(),
        "First motion of the simulation: `2 left` or `none`; empty if nothing was simulated",
    ),
    "predicted_move": (
        pa.string(),
        "First motion that the completion predicts; empty without a valid prediction",
    ),
    "reward": (pa.float64(), "Total reward of the rollout"),
    "reward_parts": (
        pa.map_(pa.string(), pa.float64()),
        "Weighted parts of the reward by name; they sum to it",
    ),
    "advantage": (pa.float64(), "Advantage of the rollout in its group"),
    "policy_version": (pa.int64(), "Version of the weights that sampled the completion"),
}
"""Types and descriptions of the columns."""
SCHEMA = pa.schema({name: kind for name, (kind, _) in COLUMNS.items()})
IMAGE_COLUMN = SCHEMA.get_field_index("image")
LARGEST_DICTIONARY = 64 * 2**20
"""Dictionary page limit in bytes, so that each of a step's images is stored only once."""


@dataclass(frozen=True, slots=True)
class Part:
    """The rows of some of a step's groups; an image that many rows show is in it once."""

    rows: pa.Table
    """All columns but the image."""
    images: pa.Array
    """Distinct images."""
    shown: pa.Array
    """Index of each row's image; null if it shows none."""


def write_rollouts(
    path: Path, groups: Sequence[RolloutGroup], advantages: Sequence[float], step: int
) -> None:
    """Write the rollouts of a step atomically, group by group.

    Args:
        advantages: one per rollout, in the same order.

    Raises:
        ValueError: the numbers of advantages and rollouts differ.
        DataError: the file cannot be written.
    """
    write_parts(path, [encode_rollouts(groups, advantages, step)])


def encode_rollouts(groups: Sequence[RolloutGroup], advantages: Sequence[float], step: int) -> Part:
    """Encode groups as a part of a step, group by group.

    Args:
        advantages: one per rollout, in the same order.

    Raises:
        ValueError: the numbers of advantages and rollouts differ.
    """
    rollouts = [
        (group, index, rollout) for group in groups for index, rollout in enumerate(group.rollouts)
    ]
    rows = [
        {"step": step, "advantage": advantage, "rollout": index, "attempt": number}
        | _attempt_row(attempt)
        | {"scene_id": group.scene.scene_id}
        | {"reward": rollout.reward.total, "reward_parts": list(rollout.reward.parts.items())}
        for (group, index, rollout), advantage in zip(rollouts, advantages, strict=True)
        for number, attempt in enumerate(rollout.attempts)
    ]
    images = [attempt.prompt.image for _, _, rollout in rollouts for attempt in rollout.attempts]
    # Each image is encoded once, although many attempts show it.
    distinct = {id(image): image for image in images if image is not None}
    places = {key: place for place, key in enumerate(distinct)}
    return Part(
        pa.Table.from_pylist(rows, schema=SCHEMA.remove(IMAGE_COLUMN)),
        pa.array([encode_image(image) for image in distinct.values()], IMAGE),
        pa.array([places.get(id(image)) for image in images], pa.int32()),
    )


def write_parts(path: Path, parts: Sequence[Part]) -> None:
    """Write the parts of a step atomically as one file.

    Raises:
        DataError: the file cannot be written.
    """
    partial = path.with_name(f".{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with pq.ParquetWriter(
            partial, SCHEMA, compression="zstd", dictionary_pagesize_limit=LARGEST_DICTIONARY
        ) as file:
            for part in parts:
                file.write_table(_table(part))
        partial.replace(path)
    except OSError as error:
        raise DataError(
            f"rollouts {path} cannot be written: {error.strerror or error}: free disk space, or "
            "set output= to another folder"
        ) from None


def read_rollouts(path: Path) -> pa.Table:
    """Read a rollout file; the table has the columns of `SCHEMA`.

    Raises:
        DataError: the file is missing, damaged or has another schema.
    """
    try:
        return pq.read_table(path, schema=SCHEMA)
    except (OSError, pa.ArrowException) as error:
        line = " ".join(str(error).split())
        raise DataError(f"rollouts {path} cannot be read: {line}: delete the file") from None


def _table(part: Part) -> pa.Table:
    """Make the table of a part, with an image in each row."""
    images = part.images.take(part.shown)
    return part.rows.add_column(IMAGE_COLUMN, SCHEMA.field(IMAGE_COLUMN), images)


def _attempt_row(attempt: Attempt) -> dict[str, Any]:
    completion, outcome = attempt.completion, attempt.outcome
    return _action_columns(attempt.action) | {
        "prompt": attempt.prompt.text,
        "prompt_token_ids": attempt.prompt_token_ids,
        "completion": completion.text,
        "token_ids": completion.token_ids,
        "logprobs": completion.logprobs,
        "truncated": completion.truncated,
        "status": outcome.status,
        "success": outcome.success,
        "height_gain": outcome.height_gain,
        "displacement": outcome.displacement,
        "distance": outcome.distance,
        "first_move": motion_words(outcome.motion),
        "predicted_move": motion_words(attempt.predicted),
        "policy_version": completion.policy_version,
    }


def _action_columns(action: Action) -> dict[str, Any]:
    match action:
        case Verdict(falls):
            return {"action_falls": falls}
        case Offset(x, y):
            return {"action_x": x, "action_y": y}
        case Reply(text):
            return {"action_text": text}
        case Unparseable(reason):
            return {"unparseable": reason}
