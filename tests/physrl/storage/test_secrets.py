"""Credentials come from the environment and go nowhere."""

import logging
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from physrl.config import load_config
from physrl.errors import ConfigError
from physrl.storage import mirror as mirrors
from physrl.storage.checkpoints import Checkpoint
from physrl.storage.mirror import open_mirror
from physrl.storage.object_store import open_store
from physrl.storage.run_folder import open_run

SECRET = b"a-secret-of-the-tests"


def test_no_secret_in_dump_log_pickle_or_bucket(
    bucket: str,
    network: Any,
    tmp_path: Path,
    commit: Callable[..., Checkpoint],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mirrors, "LONGEST_SECONDS", 0.1)
    config = load_config(None, [f"output={tmp_path}", f"storage=s3://{bucket}/runs", "name=a"])
    store = open_store(f"s3://{bucket}")
    network.fail("403 AccessDenied", "PUT", "learner.bin", times=2)
    with caplog.at_level(logging.INFO):
        open_run(config, resume=False)
        mirror = open_mirror(config)
        assert mirror is not None
        with mirror:
            mirror.checkpoint(commit(config.folder, 20))
            mirror.wait(60)
    assert "refuses these credentials (AccessDenied)" in caplog.text
    kept = [pickle.dumps(config), pickle.dumps(store), caplog.text.encode()]
    kept += [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    kept += [store.get(key) for key in store.entries()]
    assert len(kept) > 10
    for secret in (SECRET, b"tester"):
        assert not any(secret in data for data in kept)


def test_a_pickled_store_opens_the_same_place(bucket: str) -> None:
    store = open_store(f"s3://{bucket}/run")
    store.put("a", b"1")
    again = pickle.loads(pickle.dumps(store))
    assert again.location == store.location
    assert again.get("a") == b"1"


def test_credentials_in_a_location_are_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigError, match=r"^storage .*AWS_ACCESS_KEY_ID") as caught:
        load_config(None, ["storage=s3://KEY:hush@bucket/runs"])
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("storage", ["{0}", "{0}/run", "{0}/run/kept"])
def test_storage_inside_the_run_is_refused(storage: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^storage is .*storage=null"):
        load_config(None, [f"output={tmp_path}", f"storage={storage.format(tmp_path)}"])
