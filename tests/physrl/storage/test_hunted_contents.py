"""Inputs are known by their content: what replaces them under the same name is noticed."""

import random
import shutil
from pathlib import Path

import pytest
from PIL import Image as PillowImage

from physrl.config.load import load_config
from physrl.config.run import RunConfig
from physrl.environments.renderer import TinyRenderer
from physrl.errors import ConfigError
from physrl.evaluation.keys import content_key, run_content
from physrl.storage.contents import (
    SAMPLE_BYTES,
    SAMPLES,
    files_content,
    input_contents,
    questions_content,
)
from physrl.storage.object_store import open_store
from physrl.storage.run_folder import open_run
from tests.support.datasets import PLAN, write_dataset
from tests.support.own_images import make_rows, own_config, png, write_rows
from tests.support.paths import TINY_BASE


@pytest.fixture
def inputs(tmp_path: Path, renderer: TinyRenderer) -> dict[str, Path]:
    """Copies of everything that a run may read, by configuration key."""
    found = {key: tmp_path / key for key in ("data", "model.path", "evaluation.real_images")}
    write_dataset(PLAN, found["data"], renderer)
    shutil.copytree(TINY_BASE, found["model.path"])
    photos = found["evaluation.real_images"]
    photos.mkdir()
    PillowImage.new("RGB", (4, 4)).save(photos / "a.png")
    (photos / "labels.csv").write_text("file,falls\na.png,1\n")
    return found


def run_of(inputs: dict[str, Path], tmp_path: Path) -> RunConfig:
    overrides = [f"{key}={path}" for key, path in inputs.items()]
    return load_config(None, [f"output={tmp_path / 'runs'}", "name=mine", *overrides])


def collect_anew(folder: Path, renderer: TinyRenderer) -> None:
    shutil.rmtree(folder)
    write_dataset(PLAN.model_copy(update={"seed": 7}), folder, renderer)


def test_hunted_unchanged_inputs_resume(inputs: dict[str, Path], tmp_path: Path) -> None:
    config = run_of(inputs, tmp_path)
    assert set(input_contents(config)) == set(inputs)
    open_run(config, resume=False)
    for path in inputs.values():  # another time and place of writing is no other content
        for file in path.rglob("*"):
            file.touch()
    open_run(config, resume=True)


@pytest.mark.parametrize("key", ["data", "model.path", "evaluation.real_images"])
def test_hunted_input_replaced_at_its_place_is_refused(
    key: str, inputs: dict[str, Path], tmp_path: Path, renderer: TinyRenderer
) -> None:
    config = run_of(inputs, tmp_path)
    open_run(config, resume=False)
    before = content_key(trial=run_content(config))
    shutil.copytree(inputs[key], tmp_path / "kept")
    if key == "data":
        collect_anew(inputs[key], renderer)
    elif key == "model.path":
        weights = inputs[key] / "model.safetensors"
        data = bytearray(weights.read_bytes())
        data[-1000:] = bytes(1000)
        weights.write_bytes(data)
    else:
        (inputs[key] / "labels.csv").write_text("file,falls\na.png,0\n")
    with pytest.raises(ConfigError, match=key):
        open_run(config, resume=True)
    # Photographs do not affect what is trained, and are part of the keys of their own cells.
    changes_key = key != "evaluation.real_images"
    assert (content_key(trial=run_content(config)) != before) == changes_key
    shutil.rmtree(inputs[key])
    (tmp_path / "kept").rename(inputs[key])
    open_run(config, resume=True)


def test_hunted_dataset_that_moves_keeps_its_key(inputs: dict[str, Path], tmp_path: Path) -> None:
    before = content_key(trial=run_content(run_of(inputs, tmp_path)))
    inputs["data"] = inputs["data"].rename(tmp_path / "elsewhere")
    assert content_key(trial=run_content(run_of(inputs, tmp_path))) == before


@pytest.mark.parametrize("size", [0, 1, SAMPLE_BYTES, SAMPLES * SAMPLE_BYTES, 3_000_017])
def test_hunted_any_larger_change_of_a_file_changes_its_digest(size: int, tmp_path: Path) -> None:
    draw, path = random.Random(size), tmp_path / "weights"
    data = draw.randbytes(size)
    path.write_bytes(data)
    digest = files_content(tmp_path)
    gap = max(1, size // SAMPLES)
    for start in range(0, size, max(1, size // 20)):
        changed = bytearray(data)
        changed[start : start + gap] = bytes(255 - byte for byte in changed[start : start + gap])
        path.write_bytes(changed)
        assert files_content(tmp_path) != digest
    path.write_bytes(data + b"x")
    assert files_content(tmp_path) != digest
    path.write_bytes(data)
    assert files_content(tmp_path) == digest
    path.rename(tmp_path / "other")
    assert files_content(tmp_path) != digest


def test_hunted_revision_is_part_of_the_run_and_its_key(tmp_path: Path) -> None:
    def run(revision: str) -> RunConfig:
        given = [f"output={tmp_path}", "name=a", "model.path=Some/Model"]
        return load_config(None, [*given, f"model.revision={revision}"])

    keys = {content_key(trial=run_content(run(each))) for each in ("abc", "abd", "null")}
    assert len(keys) == 3
    open_run(run("abc"), resume=False)
    with pytest.raises(ConfigError, match=r"model\.revision=abc"):
        open_run(run("abd"), resume=True)
    with pytest.raises(ConfigError, match="revision abc"):
        load_config(None, [f"model.path={TINY_BASE}", "model.revision=abc"])


@pytest.mark.parametrize("changed", ["rows", "image", "shares", "column", "nothing"])
def test_hunted_own_rows_are_known_by_content(changed: str, tmp_path: Path) -> None:
    folder = tmp_path / "own"
    (tmp_path / "own").mkdir()
    (folder / "a.png").write_bytes(png(7))
    rows = make_rows(20, image="a.png", other="3")
    write_rows(folder / "rows.parquet", rows)
    places = {"output": str(tmp_path / "runs"), "name": "mine"}
    before = own_config(folder, **places)
    open_run(before, resume=False)
    key, data = content_key(run=run_content(before)), {}
    match changed:
        case "rows":
            write_rows(folder / "rows.parquet", [*rows[:-1], rows[-1] | {"answer": "x"}])
        case "image":
            (folder / "a.png").write_bytes(png(8))
        case "shares":
            data = {"test": 0.2}
        case "column":
            data = {"answer": "other"}
    after = own_config(folder, **places, data=data)
    if changed == "nothing":
        open_run(after, resume=True)
        assert content_key(run=run_content(after)) == key
        return
    with pytest.raises(ConfigError, match="data"):
        open_run(after, resume=True)
    assert content_key(run=run_content(after)) != key


def test_hunted_own_rows_elsewhere_have_the_same_key(tmp_path: Path) -> None:
    keys = set()
    for place in ("here", "there"):
        write_rows(tmp_path / place / "rows.parquet", make_rows(20))
        keys.add(content_key(run=run_content(own_config(tmp_path / place))))
    assert len(keys) == 1


@pytest.mark.parametrize("place", ["own", "own/rows.parquet"])
def test_hunted_own_rows_in_a_bucket_are_known_by_what_is_listed(
    place: str, bucket: str, tmp_path: Path
) -> None:
    store = open_store(f"s3://{bucket}")
    config = own_config(f"s3://{bucket}/{place}").questions
    assert config is not None

    def put(count: int) -> str:
        file = write_rows(tmp_path / "rows.parquet", make_rows(count))
        store.put("own/rows.parquet", file.read_bytes())
        return questions_content(config)

    store.put("other/rows.parquet", b"other")
    first = put(20)
    assert questions_content(config) == first
    store.put("other/rows.parquet", b"another")
    assert questions_content(config) == first
    assert put(21) != first
