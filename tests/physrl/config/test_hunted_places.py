"""Places in every spelling: one text for each, or a refusal."""

import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from physrl.config.baseline import load_baseline_config
from physrl.config.load import load_collect_config, load_config
from physrl.config.location import Place, parse_folder, parse_place
from physrl.config.study import load_study_config
from physrl.errors import ConfigError

PARTS = st.lists(st.text(string.ascii_letters + "._- é", min_size=1, max_size=6), max_size=4).map(
    lambda parts: [
        part for part in (each.strip() for each in parts) if part.strip(".") and part[-1] != "."
    ]
)
BUCKETS = st.text(string.ascii_lowercase + string.digits + "-.", min_size=3, max_size=12)


@st.composite
def spelled(draw: Any, parts: list[str]) -> str:
    """Draw a spelling of the parts of a path, with slashes and dots that mean nothing."""
    text = "".join(f"{part}{draw(st.sampled_from(['/', '//', '/./']))}" for part in parts)
    return text if draw(st.booleans()) else text.rstrip("/.") + draw(st.sampled_from(["", "/"]))


@given(BUCKETS, PARTS, st.sampled_from(["s3://", "S3://"]), st.sampled_from(["", " "]), st.data())
def test_hunted_spellings_of_a_bucket_are_one_place(
    bucket: str, parts: list[str], scheme: str, space: str, data: st.DataObject
) -> None:
    text = f"{space}{scheme}{bucket}/{data.draw(spelled(parts))}{space}"
    place = parse_place(text)
    assert place == Place(bucket, "/".join(parts))
    assert parse_place(str(place)) == place
    assert parse_place(f"{place}/run") == Place(bucket, "/".join([*parts, "run"]))


@given(PARTS, st.sampled_from(["/", "//", "file:///", "file://localhost/", "///"]), st.data())
def test_hunted_spellings_of_a_folder_are_one_place(
    parts: list[str], start: str, data: st.DataObject
) -> None:
    place = parse_place(start + data.draw(spelled(parts)))
    assert place == Place(None, "/" + "/".join(parts))
    assert parse_place(str(place)) == place


def test_hunted_relative_home_and_parent_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "a" / "b")
    for text in ("a", "./a", "a/", "~/a", "a/b/..", "a/../a", "link/.."):
        assert parse_folder(text) == tmp_path / "a", text


WRONG = [
    "", " ", "s3:", "s3:/", "s3://", "s3:///", "s3:///x", "s3:/b/x", "s3:b/x", "S3:/b", "s3:////b/x",
    "gs://b/x", "gs:/b/x", "http://h/x", "https://h/x", "hdfs://h/x", "az://c/x", "s3a://b/x",
    "s3n://b/x", "c:/x", "C:\\x", "mailto:x", "s3://b!c/x", "s3://a b/x", "s3://bü/x",
    "s3://bucket/../x", "s3://bucket/x?y=1", "s3://bucket/x#y", "s3://bucket\\x", "s3://bucket/a\\b",
    "a\nb", "a\0b", "a\tb", "\x7f", "$HOME/runs", "${HOME}/runs", "runs/${USER}", "~nobody-here/x",
    "file://host/x", "file:x", "a:b", "s3//:x:y",
]  # fmt: skip


@pytest.mark.parametrize("text", WRONG, ids=repr)
def test_hunted_text_that_is_no_place_is_refused(text: str, tmp_path: Path) -> None:
    if text == "s3//:x:y":  # a folder's name with a colon inside is one
        assert parse_folder(text).name == ":x:y"
        return
    with pytest.raises(ValueError, match=r"\S"):
        parse_place(text)
    base = tmp_path / "study.yaml"
    base.write_text("{}\n")
    for load, key in (
        (lambda given: load_config(None, given), "output"),
        (lambda given: load_config(None, given), "storage"),
        (lambda given: load_config(None, given), "data"),
        (lambda given: load_config(None, given), "evaluation.real_images"),
        (lambda given: load_config(None, given), "evaluation.data.place"),
        (lambda given: load_collect_config(None, given), "out"),
        (lambda given: load_baseline_config(None, given), "output"),
        (lambda given: load_study_config(base, given), "store"),
        (lambda given: load_study_config(base, given), "evaluation.real_images"),
    ):
        with pytest.raises(ConfigError) as caught:
            load([f"{key}={quoted(text)}"])
        assert key in str(caught.value)


@pytest.mark.parametrize("key", ["output", "evaluation.real_images"])
def test_hunted_bucket_where_a_folder_is_needed(key: str) -> None:
    for text in ("s3://bucket/runs", "S3://bucket", " s3://bucket/x/ "):
        with pytest.raises(ConfigError, match=rf"{key} is 's3://bucket.*storage="):
            load_config(None, [f"{key}={quoted(text)}"])


@pytest.mark.parametrize("user", ["KEY:hush", "KEY", ":hush", "a%40b:hush"])
@pytest.mark.parametrize("scheme", ["s3://", "S3://", "s3:/", "https://", "s3:"])
def test_hunted_credentials_are_never_repeated(user: str, scheme: str) -> None:
    with pytest.raises(ValueError, match="credentials") as caught:
        parse_place(f"{scheme}{user}@bucket/runs")
    assert "hush" not in str(caught.value)


def quoted(text: str) -> str:
    """Write a text as a YAML string."""
    escaped = "".join(
        f"\\x{ord(sign):02x}" if ord(sign) < 32 or ord(sign) == 127 else sign
        for sign in text.replace("\\", "\\\\").replace('"', '\\"')
    )
    return f'"{escaped}"'
