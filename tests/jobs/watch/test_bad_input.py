"""What is damaged, deleted or refused: a line on the page, and the rest goes on."""

import random
import shutil
import time
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from jobs.watch import listed
from jobs.watch.app import make_app
from jobs.watch.listed_store import ListedStore
from jobs.watch.places import Places
from physrl.errors import StorageError
from physrl.storage.object_store import open_store
from tests.support.answering_server import answering, s3_error
from tests.support.damage import damaged, damaged_text
from tests.support.watched_tree import TreeSize, write_tree


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    write_tree(folder, TreeSize(steps=2), time.time())
    return folder


@pytest.fixture
def tree(whole: Path, tmp_path: Path) -> Path:
    """A copy of a study with a run, which a test may damage."""
    return Path(shutil.copytree(whole, tmp_path / "tree"))


def client(place: object) -> TestClient:
    return TestClient(make_app([str(place)], patience_s=60), base_url="http://127.0.0.1")


def pages(shown: TestClient, tree: Path) -> dict[str, str]:
    """Get every page; none may fail."""
    study = {"store": str(tree / "store"), "study": "big"}
    (folder,) = (tree / "runs" / "big" / "trials").iterdir()
    run = {"run": str(folder)}
    asked = [("/", {}), ("/study", study), ("/compare", study), ("/run", run), ("/rollouts", run),
             ("/metrics.csv", run), ("/matrix.csv", study), ("/trials.csv", study)]  # fmt: skip
    found = {}
    for path, params in asked:
        answer = shown.get(path, params=params)
        assert answer.status_code in (200, 404), (path, answer.text)
        assert "Traceback" not in answer.text
        found[path] = answer.text
    return found


def test_a_store_of_another_version_leaves_the_other(tree: Path) -> None:
    other = Path(shutil.copytree(tree / "store", tree / "older"))
    (other / "format.json").write_text('{"format": "physrl-study-3"}')
    text = client(tree).get("/").text
    assert f"store {other} is of format physrl-study-3" in text
    assert f"<small>{tree / 'store'}</small>" in text


def test_a_half_written_cell_is_named_and_the_others_are_read(tree: Path) -> None:
    path = sorted((tree / "store" / "cells").iterdir())[0]
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    text = pages(client(tree), tree)["/study"]
    assert f"cells/{path.name} in {tree / 'store'} is damaged" in text
    assert "too little data" in text


def test_a_damaged_mark_is_named_and_the_study_stays(tree: Path) -> None:
    path = next((tree / "store" / "failed").iterdir())
    path.write_text("{")
    found = pages(client(tree), tree)
    assert f"failed/{path.name} in {tree / 'store'} is damaged" in found["/"]
    assert "big" in found["/"]


def test_a_run_that_is_deleted_while_it_is_shown_is_gone(tree: Path) -> None:
    shown = client(tree)
    run = next((tree / "runs").rglob("config.yaml")).parent
    assert shown.get("/run", params={"run": str(run)}).status_code == 200
    shutil.rmtree(run)
    gone = shown.get("/run", params={"run": str(run)}, headers={"X-Have": "state=1"})
    assert (gone.status_code, "has been deleted" in gone.text) == (404, True)
    assert shown.get("/").status_code == 200
    shutil.rmtree(tree)
    assert f"{tree} has been deleted" in shown.get("/").text


def test_a_metrics_line_in_the_middle_is_named(tree: Path) -> None:
    path = next((tree / "runs").rglob("metrics.jsonl"))
    first, *rest = path.read_text().splitlines(keepends=True)
    path.write_text("".join([first, '{"step": 2, "rew\n', *rest]))
    assert "damaged" in client(path.parent).get("/").text
    assert "line 2 is damaged" in client(tree).get("/run", params={"run": str(path.parent)}).text


@pytest.mark.parametrize("seed", range(12))
def test_no_damage_breaks_a_page(tree: Path, seed: int) -> None:
    draw = random.Random(seed)
    files = [path for path in sorted(tree.rglob("*")) if path.is_file()]
    for path in draw.sample(files, 12):
        damage = damaged_text if path.suffix in (".json", ".jsonl", ".yaml") else damaged
        path.write_bytes(damage(path.read_bytes(), draw))
    plan = next((tree / "store" / "plans").iterdir())
    if seed % 3 == 0:
        plan.write_bytes(damaged(plan.read_bytes(), draw))
    pages(client(tree), tree)


def test_expired_credentials_are_a_line_beside_what_was_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listed, "BUCKET_REFRESH_S", 0.0)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "a-secret-of-the-tests")
    contents = "<Contents><Key>runs/a/config.yaml</Key><Size>1</Size>"
    contents += "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
    with answering() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        places = Places(["s3://bucket/runs"])
        server.body = f"<ListBucketResult>{contents}</ListBucketResult>".encode()
        places.refresh()
        assert [run.location for run in places.runs()] == ["s3://bucket/runs/a"]
        assert len(server.requests) == 1
        server.status, server.body = 400, s3_error("ExpiredToken", "The token has expired")
        places.refresh()
        (problem,) = places.problems
        assert "the session has expired" in problem
        assert "\n" not in problem
        assert len(places.runs()) == 1
        shown = client("s3://bucket/runs")
        assert "the session has expired" in shown.get("/").text


def test_nothing_is_written_through_a_listed_store(tmp_path: Path) -> None:
    store = ListedStore(listed.ListedBucket(open_store(str(tmp_path))), "a")
    for write in (store.put, store.create):
        with pytest.raises(StorageError, match="only read"):
            write("key", b"")
    with pytest.raises(StorageError, match="only read"):
        store.delete("key")
    assert list(tmp_path.iterdir()) == []
