"""Scenes with their pictures, questions and answers as one Parquet file: a dataset's shard.

The bytes depend on the scenes and on the installed pyarrow and Pillow alone: encoder and writer
settings are fixed, and nothing records when or where it was written.
"""

import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image as PillowImage

from physrl.data.records import arrow_type, fields_of, from_plain, to_plain
from physrl.environments.geometry import centres_of_mass
from physrl.tasks import TASKS
from physrl.types import Image, Offset, Prompt, SceneSpec, Verdict

IMAGE = pa.struct({"bytes": pa.binary(), "path": pa.string()})
POINTS = pa.list_(pa.struct({axis: pa.float64() for axis in "xyz"}))
ANSWERS = {
    "scene_id": pa.string(),
    "image": IMAGE,
    "prompt": pa.string(),
    "target": pa.string(),
    "falls": pa.bool_(),
    "ideal_x": pa.float64(),
    "ideal_y": pa.float64(),
    "centres_of_mass": POINTS,
}
HUGGING_FACE = {"info": {"features": {"image": {"_type": "Image"}}}}
"""What makes the `datasets` library read the struct as a picture."""
SCHEMA = pa.schema(
    ANSWERS | {name: arrow_type(kind) for name, kind in fields_of(SceneSpec).items()},
    metadata={"huggingface": json.dumps(HUGGING_FACE)},
)
"""The answers' columns, then a column for each field of a `SceneSpec`."""
PLAN = b"physrl.plan"
ROWS_PER_GROUP = 32
"""What is decoded to reach one row."""
PNG_LEVEL = 6


def encode_shard(scenes: Sequence[SceneSpec], prompts: Sequence[Prompt], plan_hash: str) -> bytes:
    """The file of these scenes, one row each.

    Raises:
        ValueError: a prompt is not one question about one picture.
    """
    rows = [_row(scene, prompt) for scene, prompt in zip(scenes, prompts, strict=True)]
    metadata = {**SCHEMA.metadata, PLAN: plan_hash.encode()}
    table = pa.Table.from_pylist(rows, schema=SCHEMA.with_metadata(metadata))
    stream = io.BytesIO()
    pq.write_table(
        table,
        stream,
        version="2.6",
        data_page_version="1.0",
        compression="zstd",
        compression_level=3,
        # A dictionary of pictures, each of which occurs once, would only cost room.
        use_dictionary=["prompt", "target", "task", "split"],
        write_statistics=False,
        row_group_size=ROWS_PER_GROUP,
    )
    return stream.getvalue()


def plan_of(shard: bytes) -> str | None:
    """The hash of the plan that a shard was written for; None if this is no whole shard."""
    try:
        metadata = pq.read_metadata(io.BytesIO(shard)).metadata
    except (OSError, pa.ArrowException):
        return None
    plan = (metadata or {}).get(PLAN)
    return None if plan is None else plan.decode()


def decode_row(row: dict[str, Any]) -> tuple[SceneSpec, Prompt, str]:
    """A row's scene, prompt and target."""
    kinds = fields_of(SceneSpec)
    scene = SceneSpec(**{name: from_plain(kind, row[name]) for name, kind in kinds.items()})
    return (
        scene,
        Prompt.ask(row["scene_id"], row["prompt"], _picture(row["image"]["bytes"])),
        str(row["target"]),
    )


def _row(scene: SceneSpec, prompt: Prompt) -> dict[str, Any]:
    task = TASKS[scene.task]
    (turn,) = prompt.turns
    (image,) = turn.images
    ideal = task.ideal(scene)
    centres = centres_of_mass(scene.tower).tolist()
    fields: dict[str, Any] = to_plain(SceneSpec, scene)
    return {
        "scene_id": prompt.prompt_id,
        "image": {"bytes": _png(image), "path": None},
        "prompt": turn.text,
        "target": task.target(scene),
        "falls": ideal.falls if isinstance(ideal, Verdict) else None,
        "ideal_x": ideal.x if isinstance(ideal, Offset) else None,
        "ideal_y": ideal.y if isinstance(ideal, Offset) else None,
        "centres_of_mass": [dict(zip("xyz", point, strict=True)) for point in centres],
    } | fields


def _png(image: Image) -> bytes:
    stream = io.BytesIO()
    PillowImage.fromarray(image).save(stream, "PNG", compress_level=PNG_LEVEL)
    return stream.getvalue()


def _picture(png: bytes) -> Image:
    with PillowImage.open(io.BytesIO(png)) as picture:
        return np.asarray(picture)
