import time
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from jobs.watch import listed
from jobs.watch.app import make_app
from physrl.storage.object_store import Entry, open_store
from physrl.storage.s3 import S3Store
from tests.support.watched_tree import TreeSize, write_tree


@pytest.fixture
def listings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The prefixes of all listings."""
    monkeypatch.setattr(listed, "BUCKET_REFRESH_S", 0.0)
    seen: list[str] = []
    entries = S3Store.entries

    def counted(self: S3Store, prefix: str = "") -> dict[str, Entry]:
        seen.append(prefix)
        return entries(self, prefix)

    monkeypatch.setattr(S3Store, "entries", counted)
    return seen


def test_every_page_of_a_bucket_takes_one_listing(
    tmp_path: Path, bucket: str, listings: list[str]
) -> None:
    size = TreeSize(trained=("place",), measured=("place",), methods=1, steps=2)
    write_tree(tmp_path, size, time.time())
    place = f"s3://{bucket}/physrl"
    store = open_store(place)
    paths = [path for path in tmp_path.rglob("*") if path.is_file()]
    for path in paths:
        store.upload(path.relative_to(tmp_path).as_posix(), path)
    shown = TestClient(make_app([place], patience_s=60), base_url="http://127.0.0.1")
    run = next(path.parent for path in paths if path.name == "config.yaml")
    of_run = {"run": f"{place}/{run.relative_to(tmp_path).as_posix()}"}
    study = {"store": f"{place}/store", "study": "big"}
    expected = [
        ("/", {}, "physrl/store"),
        ("/study", study, "too little data"),
        ("/compare", study, "By margin"),
        ("/run", of_run, "step 2 of 22"),
        ("/run", of_run, "physrl pull s3://"),
        ("/rollouts", of_run, "<article"),
        ("/metrics.csv", of_run, "step,time"),
    ]
    for path, params, part in expected:
        listings.clear()
        answer = shown.get(path, params=params)
        assert (answer.status_code, part in answer.text) == (200, True), (path, answer.text)
        assert listings == [""]
    listings.clear()
    image = of_run | {"scene": "place/train/iid/0/17", "step": "1", "attempt": "0"}
    assert shown.get("/image", params=image).content.startswith(b"\x89PNG")
    assert listings == []  # an image is of the page that shows it
    store.delete(f"{run.relative_to(tmp_path).as_posix()}/config.yaml")
    assert shown.get("/run", params=of_run).status_code == 404


def test_a_bucket_is_not_listed_again_at_once(
    bucket: str, listings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = listed.ListedBucket(open_store(f"s3://{bucket}/none"))
    pages.refresh()
    pages.refresh()
    assert listings == ["", ""]
    monkeypatch.setattr(listed, "BUCKET_REFRESH_S", 60.0)
    pages.refresh()
    assert listings == ["", ""]
    assert pages.problem == ""
