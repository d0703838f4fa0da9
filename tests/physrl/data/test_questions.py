"""Questions about images of the user's own, in every layout and with every mistake."""

import json
from pathlib import Path
from typing import Any

import pytest

from physrl.config.questions import QuestionsConfig
from physrl.data.questions import QuestionRows
from physrl.errors import DataError
from physrl.storage.object_store import open_store
from physrl.types import Split
from tests.support.own_images import make_rows, png, write_rows, write_squares

SPLITS: tuple[Split, ...] = ("train", "validation", "test")


def open_rows(path: Path | str, **keys: Any) -> QuestionRows:
    return QuestionRows(QuestionsConfig(path=str(path), **keys))


def answers(rows: QuestionRows, split: Split) -> list[str]:
    return [rows(split, number).answer for number in range(rows.count(split))]


def test_shares_are_disjoint_and_complete_and_the_same_for_all(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.parquet", make_rows(40))
    rows = open_rows(path, validation=0.1, test=0.25)
    found = {split: answers(rows, split) for split in SPLITS}
    assert [len(found[split]) for split in SPLITS] == [26, 4, 10]
    everything = [answer for each in found.values() for answer in each]
    assert sorted(everything, key=int) == [str(number) for number in range(40)]
    assert answers(rows, "warm") == found["train"]
    again = open_rows(tmp_path, validation=0.1, test=0.25)
    assert {split: answers(again, split) for split in SPLITS} == found


def test_splits_are_found_by_the_names_of_files(tmp_path: Path) -> None:
    rows = make_rows(12)
    write_rows(tmp_path / "data" / "train-00000-of-00002.parquet", rows[:4])
    write_rows(tmp_path / "data" / "train-00001-of-00002.parquet", rows[4:8])
    write_rows(tmp_path / "data" / "dev-00000-of-00001.parquet", rows[8:10])
    write_rows(tmp_path / "data" / "test-00000-of-00001.parquet", rows[10:])
    write_rows(tmp_path / ".cache" / "train.parquet", rows)
    found = open_rows(tmp_path, validation="dev", test="test")
    assert answers(found, "train") == list("01234567")
    assert answers(found, "validation") == ["8", "9"]
    assert answers(found, "test") == ["10", "11"]


@pytest.mark.parametrize("shards", [1, 2])
def test_what_the_datasets_library_saves(tmp_path: Path, shards: int) -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {
            "picture": datasets.Image(),
            "ask": datasets.Value("string"),
            "label": datasets.Value("bool"),
        }
    )
    columns = {
        "picture": [{"bytes": png(number), "path": None} for number in range(6)],
        "ask": [f"Number {number}?" for number in range(6)],
        "label": [number % 2 == 0 for number in range(6)],
    }
    train = datasets.Dataset.from_dict(columns, features=features)
    whole = datasets.DatasetDict({"train": train, "test": train.select([1])})
    whole.save_to_disk(tmp_path, num_shards={"train": shards, "test": 1})
    keys = {"image": "picture", "question": "ask", "answer": "label"}
    rows = open_rows(tmp_path, test="test", validation=0.2, **keys)
    assert (rows.count("train"), rows.count("validation"), rows.count("test")) == (5, 1, 1)
    assert answers(rows, "test") == ["No"]
    assert rows.image(rows("test", 0))[0, 0].tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    "image",
    [png(7), {"bytes": png(7), "path": None}, {"bytes": None, "path": "a/7.png"}, "a/7.png"],
)
def test_images_in_every_form(tmp_path: Path, image: Any) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "7.png").write_bytes(png(7))
    write_rows(tmp_path / "rows.parquet", make_rows(4, image=image))
    rows = open_rows(tmp_path)
    assert rows.image(rows("train", 0)).shape == (8, 8, 3)
    assert rows.image(rows("train", 0))[0, 0].tolist() == [7, 7, 7]


def test_class_labels_have_their_names(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    columns = {"image": [png()] * 4, "question": ["Which?"] * 4, "answer": [0, 1, 1, 2]}
    made = datasets.Dataset.from_dict(columns)
    labels = datasets.ClassLabel(names=["cat", "dog", "a bird"])
    made.cast_column("answer", labels).to_parquet(tmp_path / "rows.parquet")
    rows = open_rows(tmp_path, test=0.25, validation=0.25)
    found = [answer for split in SPLITS for answer in answers(rows, split)]
    assert sorted(found) == ["a bird", "cat", "dog", "dog"]


def test_json_lines_beside_images(tmp_path: Path) -> None:
    """A folder of images as `datasets` reads one."""
    for split in ("train", "test"):
        folder = tmp_path / split
        folder.mkdir()
        rows = [{"file_name": f"{n}.png", "question": f"{n}?", "answer": n} for n in range(4)]
        (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
        for number in range(4):
            (folder / f"{number}.png").write_bytes(png(number + 50 * (split == "test")))
    rows = open_rows(tmp_path, image="file_name", test="test", validation=0.25)
    assert answers(rows, "test") == list("0123")
    assert rows.image(rows("test", 3))[0, 0, 0] == 53
    first = rows("train", 0)
    assert rows.image(first)[0, 0, 0] == int(first.answer)


@pytest.mark.parametrize(
    ("answer", "text"),
    [(3, "3"), (True, "Yes"), (False, "No"), (2.5, "2.5"), (3.0, "3"), (" a b ", "a b")],
)
def test_answers_of_every_type(tmp_path: Path, answer: Any, text: str) -> None:
    write_rows(tmp_path / "rows.parquet", make_rows(4, answer=answer))
    assert answers(open_rows(tmp_path), "train")[0] == text


def test_all_answers_of_a_list_are_right(tmp_path: Path) -> None:
    answer = ["two", "2", "two", "a pair"]
    write_rows(tmp_path / "rows.parquet", make_rows(4, answer=answer))
    row = open_rows(tmp_path)("train", 0)
    assert (row.answer, row.others) == ("two", ("2", "a pair"))


@pytest.mark.parametrize(
    ("columns", "named"),
    [
        ({"question": " "}, r"rows\.parquet row \d+: column 'question'"),
        ({"question": None}, r"rows\.parquet row \d+: column 'question'"),
        ({"question": 3}, r"rows\.parquet row \d+: column 'question'"),
        ({"answer": ""}, r"rows\.parquet row \d+: column 'answer'"),
        ({"answer": None}, r"rows\.parquet row \d+: column 'answer'"),
        ({"answer": float("nan")}, r"rows\.parquet row \d+: column 'answer'"),
        ({"answer": []}, r"rows\.parquet row \d+: column 'answer'"),
        ({"answer": ["a", ""]}, r"rows\.parquet row \d+: column 'answer'"),
        ({"answer": [["a"]]}, r"rows\.parquet row \d+: column 'answer'"),
        ({"image": b"no image"}, r"rows\.parquet row \d+: its image is not a readable"),
        ({"image": png()[:40]}, r"rows\.parquet row \d+: its image is not a readable"),
        ({"image": None}, r"rows\.parquet row \d+: column 'image'"),
        ({"image": 3}, r"rows\.parquet row \d+: column 'image'"),
        ({"image": {"bytes": None, "path": None}}, r"rows\.parquet row \d+: column 'image'"),
        ({"image": "b.png"}, r"rows\.parquet row \d+: image 'b\.png'"),
        ({"image": "../b.png"}, r"rows\.parquet row \d+: image '\.\./b\.png'"),
        ({"image": "/etc/b.png"}, r"rows\.parquet row \d+: image '/etc/b\.png'"),
    ],
)
def test_a_bad_row_is_refused_by_its_number(
    tmp_path: Path, columns: dict[str, Any], named: str
) -> None:
    write_rows(tmp_path / "rows.parquet", make_rows(4, **columns))
    rows = open_rows(tmp_path)
    with pytest.raises(DataError, match=named):
        rows.image(rows("train", 0))


def test_a_path_of_an_image_needs_the_folder(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png())
    rows = open_rows(write_rows(tmp_path / "rows.parquet", make_rows(4, image="a.png")))
    with pytest.raises(DataError, match=r"row \d+: image 'a\.png'.*set data\.path"):
        rows.image(rows("train", 0))


@pytest.mark.parametrize("key", ["image", "question", "answer"])
def test_a_missing_column_is_refused_with_those_that_are_there(tmp_path: Path, key: str) -> None:
    path = write_rows(tmp_path / "rows.parquet", make_rows(4))
    with pytest.raises(DataError, match=rf"'other' but image, question, answer: set data\.{key}"):
        open_rows(path, **{key: "other"})


@pytest.mark.parametrize(
    ("keys", "named"),
    [
        ({"split": "valid"}, r"data\.split is 'valid'.*train"),
        ({"test": "test"}, r"data\.test is 'test'.*train"),
        ({"validation": "train"}, r"data\.split and data\.validation.*'train'"),
        ({"validation": 0.6, "test": 0.6}, "4 rows, too few"),
    ],
)
def test_a_missing_split_or_too_few_rows_are_refused(
    tmp_path: Path, keys: dict[str, Any], named: str
) -> None:
    with pytest.raises(DataError, match=named):
        open_rows(write_rows(tmp_path / "rows.parquet", make_rows(4)), **keys)


def test_a_place_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.path.*no file of rows"):
        open_rows(tmp_path)
    with pytest.raises(DataError, match=r"no such file"):
        open_rows(tmp_path / "rows.parquet")
    (tmp_path / "rows.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(DataError, match=r"rows\.parquet is not a readable parquet file"):
        open_rows(tmp_path)
    (tmp_path / "rows.parquet").rename(tmp_path / "rows.arrow")
    with pytest.raises(DataError, match=r"rows\.arrow is not a readable arrow file"):
        open_rows(tmp_path)


def test_rows_in_a_bucket(tmp_path: Path, bucket: str) -> None:
    file = write_rows(tmp_path / "rows.parquet", make_rows(4, image="a/7.png"))
    place = f"s3://{bucket}/own"
    store = open_store(place)
    store.put("rows.parquet", file.read_bytes())
    store.put("a/7.png", png(7))
    rows = open_rows(place)
    assert rows.image(rows("train", 0))[0, 0].tolist() == [7, 7, 7]
    store.put("b/own.parquet", write_rows(tmp_path / "own.parquet", make_rows(4)).read_bytes())
    rows = open_rows(f"{place}/b/own.parquet")
    assert rows.image(rows("train", 0)).shape == (8, 8, 3)


def test_the_example_has_100_rows_with_balanced_answers(tmp_path: Path) -> None:
    rows = open_rows(write_squares(tmp_path))
    assert [rows.count(split) for split in SPLITS] == [80, 10, 10]
    found = answers(rows, "train")
    assert set(found) == set("1234")
    assert max(map(found.count, found)) < 30
