"""The readers of files that come from elsewhere, each with an intact input to damage.

A reader takes bytes and a scratch folder. It may refuse with one of this project's errors, and
raise nothing else.
"""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import safetensors.numpy
from PIL import Image as PillowImage

from jobs.checks.adapter import read_adapter
from jobs.checks.checkpoint import check_model
from physrl.config.dataset import DatasetPlan
from physrl.config.load import parse_config
from physrl.config.model import ModelConfig
from physrl.config.people import ExclusionConfig
from physrl.config.questions import QuestionsConfig
from physrl.data.labels import read_labels
from physrl.data.manifest import describe_shard, make_manifest
from physrl.data.manifest import read_manifest as read_dataset_manifest
from physrl.data.photo_image import decode_photo
from physrl.data.photos import Photo, load_photos
from physrl.data.questions import QuestionRows
from physrl.data.rollouts import read_rollouts
from physrl.data.tower_lists import read_list
from physrl.evaluation.measurements import Measurements, load_measurement
from physrl.evaluation.results import Answer
from physrl.evaluation.specs import Condition
from physrl.metrics.lines import FILE, MetricsLines
from physrl.people.exclusions import exclude
from physrl.people.judgements import holds_judgements, read_judgements
from physrl.people.parts import Item, Part
from physrl.people.recordings import read_sessions
from physrl.storage.manifest import parse_manifest
from physrl.types import Split
from tests.support.measurements import make_measurement
from tests.support.paths import ROOT, TINY_BASE
from tests.support.people import guesses, make_session


@dataclass(frozen=True, slots=True)
class Reader:
    """A reader, and intact inputs of its."""

    read: Callable[[bytes, Path], Any]
    seeds: tuple[bytes, ...]


def _as_file(name: str, read: Callable[[Path], Any]) -> Callable[[bytes, Path], Any]:
    """Make a reader of bytes from one of a file in the scratch folder."""

    def reader(data: bytes, folder: Path) -> Any:
        (folder / name).write_bytes(data)
        return read(folder / name)

    return reader


@cache
def _images() -> tuple[bytes, ...]:
    pixels = np.random.default_rng(1).integers(0, 255, (12, 16, 3), np.uint8)
    found = []
    for kind in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "DDS", "ICO", "JPEG2000"):
        stream = io.BytesIO()
        PillowImage.fromarray(pixels).save(stream, kind)
        found.append(stream.getvalue())
    return tuple(found)


def _photo_table() -> bytes:
    image = {"bytes": _images()[0], "path": None}
    table = pa.table({"image": [image, image], "answer": ["Yes", "No"], "file": ["a", "b"]})
    stream = io.BytesIO()
    pq.write_table(table, stream)
    return stream.getvalue()


def _dataset_manifest() -> bytes:
    plan = DatasetPlan(scenes=4, scenes_per_shard=2)
    return make_manifest(plan, [describe_shard(plan, number, b"x") for number in range(2)])


def _result(folder: Path) -> bytes:
    answer = Answer(
        "s",
        "1",
        "1",
        "1",
        True,
        "settled",
        1.0,
        (0.1, 0.2),
        None,
        None,
        None,
        None,
        0.1,
        3,
        3.0,
        "left",
        "iid",
    )
    return Measurements(folder).save(make_measurement("base", (answer, answer))).read_bytes()


def _adapter_weights() -> bytes:
    name = "base_model.model.model.language_model.layers.0.mlp.up_proj.lora_{}.weight"
    shapes = {"A": (4, 8), "B": (8, 4)}
    return safetensors.numpy.save(
        {name.format(half): np.zeros(shape, np.float32) for half, shape in shapes.items()}
    )


ADAPTER = {
    "peft_type": "LORA",
    "r": 4,
    "lora_alpha": 8,
    "target_modules": ["model.language_model.layers.0.mlp.up_proj"],
    "base_model_name_or_path": "Some/Base",
    "task_type": "CAUSAL_LM",
}


def _read_adapter(name: str) -> Callable[[bytes, Path], Any]:
    other = {
        "adapter_config.json": json.dumps(ADAPTER).encode(),
        "adapter_model.safetensors": _adapter_weights(),
    }

    def read(data: bytes, folder: Path) -> Any:
        for file, content in (other | {name: data}).items():
            (folder / file).write_bytes(content)
        return read_adapter("model.adapter is", folder)

    return read


def _read_model(data: bytes, folder: Path) -> None:
    (folder / "config.json").write_bytes(data)
    check_model("model.path", str(folder), ModelConfig(path=str(folder)))


def _read_metrics(data: bytes, folder: Path) -> None:
    (folder / FILE).write_bytes(data)
    MetricsLines(folder).truncate_after(1)


LISTED = b"env_ccs-easy-h=3-vcom=1-vpsf=0-v=2\nenv_blocks-hard-h=2-vcom=0-vpsf=0-v=1\n"


def _read_towers(data: bytes, folder: Path) -> None:
    """Read a list of towers whose images are there."""
    listed = folder / "splits" / "default" / "test.txt"
    listed.parent.mkdir(parents=True, exist_ok=True)
    listed.write_bytes(data)
    for name in LISTED.decode().split():
        view = folder / "recordings" / name / "rgb-cam_1-mono-0.png"
        view.parent.mkdir(parents=True, exist_ok=True)
        view.touch()
    read_list(folder)


def _people() -> tuple[bytes, ...]:
    """Write a session of an experiment as JSON and as CSV."""
    item = Item("stability/test/iid/0/0", b"", "Will it fall?", None)
    part = Part(Condition("stability"), "key", (), (), (replace(item, answer="No"),), ((item,),))
    rows = make_session([part], "ann", guesses(0))
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows(rows)
    return json.dumps(rows).encode(), text.getvalue().encode()


def _read_people(data: bytes, folder: Path) -> None:
    (folder / "people.json").write_bytes(data)
    exclude(read_sessions(folder / "people.json"), ExclusionConfig())


def _read_judgements(data: bytes, folder: Path) -> None:
    (folder / "judges.csv").write_bytes(data)
    image = np.zeros((1, 1, 3), np.uint8)
    photos = [Photo(name, name == "a", None, image) for name in ("a", "b")]
    if holds_judgements(folder / "judges.csv"):
        read_judgements("judges", folder / "judges.csv", photos)


def _own_rows() -> tuple[bytes, bytes, bytes]:
    """Write rows of a user's own images as Parquet, as an Arrow stream, and as JSON lines."""
    image = {"bytes": _images()[0], "path": None}
    rows = [{"image": image, "question": f"Is it {n}?", "answer": n} for n in range(4)]
    table = pa.Table.from_pylist(rows)
    parquet, arrow = io.BytesIO(), io.BytesIO()
    pq.write_table(table, parquet)
    with pa.ipc.new_stream(arrow, table.schema) as writer:
        writer.write_table(table)
    lines = (json.dumps(row | {"image": f"{row['answer']}.png"}) for row in rows)
    return parquet.getvalue(), arrow.getvalue(), "\n".join(lines).encode()


def _read_own_rows(path: Path) -> None:
    folder = path.suffix == ".jsonl"
    for image in (path.parent / f"{number}.png" for number in range(4 * folder)):
        if not image.exists():
            image.write_bytes(_images()[0])
    rows = QuestionRows(QuestionsConfig(path=str(path.parent if folder else path)))
    splits: tuple[Split, ...] = ("train", "validation", "test")
    for split in splits:
        for number in range(rows.count(split)):
            rows.image(rows(split, number))


def readers(scratch: Path) -> dict[str, Reader]:
    """Make the table of readers.

    Args:
        scratch: a folder for files of intact inputs.
    """
    config = (ROOT / "jobs" / "configs" / "demo.yaml").read_bytes()
    manifest = {"files": {"state.json": {"size": 1, "sha256": "0" * 64}}}
    rows = b'{"step": 1, "time": 2.5, "kl": 0.1}\n{"step": 2, "time": 3.5, "kl": null}\n'
    parquet, arrow, lines = _own_rows()
    return {
        "yaml": Reader(
            lambda data, _: parse_config(data.decode("utf-8", "replace"), "mine.yaml"), (config,)
        ),
        "csv": Reader(_as_file("labels.csv", read_labels), (b"file,falls\na.png,1\nb.png,0\n",)),
        "images": Reader(lambda data, _: decode_photo(data, "a.png"), _images()),
        "photo table": Reader(_as_file("photos.parquet", load_photos), (_photo_table(),)),
        "results": Reader(_as_file("base.parquet", load_measurement), (_result(scratch),)),
        "rollouts": Reader(_as_file("part.parquet", read_rollouts), (_result(scratch),)),
        "dataset manifest": Reader(
            lambda data, _: read_dataset_manifest(data, "s3://bucket/data"), (_dataset_manifest(),)
        ),
        "checkpoint manifest": Reader(
            lambda data, _: parse_manifest(data, "runs/a"), (json.dumps(manifest).encode(),)
        ),
        "adapter config": Reader(
            _read_adapter("adapter_config.json"), (json.dumps(ADAPTER).encode(),)
        ),
        "safetensors": Reader(_read_adapter("adapter_model.safetensors"), (_adapter_weights(),)),
        "model config": Reader(_read_model, ((TINY_BASE / "config.json").read_bytes(),)),
        "own rows": Reader(_as_file("own.parquet", _read_own_rows), (parquet,)),
        "own arrow": Reader(_as_file("own.arrow", _read_own_rows), (arrow,)),
        "own lines": Reader(_as_file("own.jsonl", _read_own_rows), (lines,)),
        "json lines": Reader(_read_metrics, (rows,)),
        "tower list": Reader(_read_towers, (b"a.png 1\nb.png 0\n", LISTED)),
        "people": Reader(_read_people, _people()),
        "judgements": Reader(_read_judgements, (b"file,judge,falls\na,x,1\nb,x,0\na,y,0\n",)),
    }
