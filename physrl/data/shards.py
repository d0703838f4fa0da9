"""Shards of a dataset: Parquet files of scenes with images, questions and answers.

The bytes depend only on the scenes and the installed versions of pyarrow and Pillow: encoder and
writer settings are fixed, and neither time nor host is recorded.
"""

import io
import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from physrl.data.images import IMAGE, decode_image, encode_image
from physrl.data.records import arrow_type, fields_of, from_plain, to_plain
from physrl.environments.geometry import centers_of_mass
from physrl.tasks import TASKS
from physrl.types import Offset, Prompt, SceneSpec, Verdict

POINTS = pa.list_(pa.struct({axis: pa.float64() for axis in "xyz"}))
ANSWERS = {
    "scene_id": pa.string(),
    "image": IMAGE,
    "prompt": pa.string(),
    "target": pa.string(),
    "falls": pa.bool_(),
    "ideal_x": pa.float64(),
    "ideal_y": pa.float64(),
    "centers_of_mass": POINTS,
}
HUGGING_FACE = {"info": {"features": {"image": {"_type": "Image"}}}}
"""Metadata that makes the `datasets` library decode the struct as an image."""
SCHEMA = pa.schema(
    ANSWERS | {name: arrow_type(kind) for name, kind in fields_of(SceneSpec).items()},
    metadata={"huggingface": json.dumps(HUGGING_FACE)},
)
"""Columns of ANSWERS, then a column for each field of `SceneSpec`."""
DESCRIPTIONS = {
    "scene_id": "Scene, and its prompt: task/split/generator/seed/index",
    "image": "PNG in `bytes`; the `datasets` library decodes it",
    "prompt": "Text of the question",
    "target": "Target completion for SFT",
    "falls": "Label of `stability`: true if a block falls; null in offset tasks",
    "ideal_x": "Ideal offset to the right, in block widths; null in `stability`",
    "ideal_y": "Ideal offset upwards, in block widths; null in `stability`",
    "centers_of_mass": "Center of mass of all blocks above each level but the top, bottom first",
    "seed": "Seed of the scene",
    "task": "Task of the scene",
    "split": "Stream of the scene: train, warm, validation or test",
    "index": "Number of the scene in its stream",
    "blocks": "Tower from the lowest block up; then the red block, if it stands apart",
    "movable": "True if the last block is a red one that stands apart",
    "margin": "Exact static margin of the tower, in block widths: positive if it stands",
    "camera": "Camera of the image",
    "appearance": "Light and materials of the image",
    "generator": "Named set of scenes",
    "wording": "Index of the question's wording among those of the task; training uses 0",
    "outline": "Place of which the image shows the outline, if any",
    "rest": "Poses in which earlier moves left the first blocks; the others are upright",
}
"""Descriptions of the columns."""
PLAN = b"physrl.plan"
ROWS_PER_GROUP = 32
"""Rows that are decoded together to read one of them."""


def encode_shard(scenes: Sequence[SceneSpec], prompts: Sequence[Prompt], plan_hash: str) -> bytes:
    """Encode scenes and their prompts as a Parquet file, one row per scene.

    Raises:
        ValueError: a prompt is not one question about one image.
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
        # Images occur once each, so a dictionary would only add to the size.
        use_dictionary=["prompt", "target", "task", "split"],
        write_statistics=False,
        row_group_size=ROWS_PER_GROUP,
    )
    return stream.getvalue()


def plan_of(shard: bytes) -> str | None:
    """Read the hash of the plan that a shard was written for; None if it is damaged."""
    try:
        metadata = pq.read_metadata(io.BytesIO(shard)).metadata
    except (OSError, pa.ArrowException):
        return None
    plan = (metadata or {}).get(PLAN)
    return None if plan is None else plan.decode()


def decode_row(row: dict[str, Any]) -> tuple[SceneSpec, Prompt, str]:
    """Decode a row to its scene, prompt and target completion."""
    scene = from_plain(SceneSpec, row)
    prompt = Prompt.ask(row["scene_id"], row["prompt"], decode_image(row["image"]))
    return scene, prompt, str(row["target"])


def _row(scene: SceneSpec, prompt: Prompt) -> dict[str, Any]:
    task = TASKS[scene.task]
    (turn,) = prompt.turns
    (image,) = turn.images
    ideal = task.ideal(scene)
    centers = centers_of_mass(scene.tower).tolist()
    fields: dict[str, Any] = to_plain(SceneSpec, scene)
    return {
        "scene_id": prompt.prompt_id,
        "image": encode_image(image),
        "prompt": turn.text,
        "target": task.target(scene),
        "falls": ideal.falls if isinstance(ideal, Verdict) else None,
        "ideal_x": ideal.x if isinstance(ideal, Offset) else None,
        "ideal_y": ideal.y if isinstance(ideal, Offset) else None,
        "centers_of_mass": [dict(zip("xyz", point, strict=True)) for point in centers],
    } | fields
