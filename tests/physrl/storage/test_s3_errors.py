"""The errors of a bucket: one line each, without secrets."""

import pytest

from physrl.errors import StorageError
from physrl.storage import s3
from physrl.storage.object_store import open_store
from tests.support.ports import free_port


@pytest.mark.parametrize(
    ("environment", "place", "named"),
    [
        ({}, "s3://no-such-bucket/x", "'no-such-bucket' .*http://127"),
        ({}, "s3:///x", "'s3:///x': "),
        ({}, "s3://Bad!Name/x", "'Bad!Name'"),
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, None, "SignatureDoesNotMatch"),
        ({"AWS_ACCESS_KEY_ID": "nobody"}, None, "InvalidAccessKeyId"),
        ({"AWS_SECRET_ACCESS_KEY": None}, None, "no credentials"),
        (
            {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None},
            None,
            "no credentials",
        ),
        ({"AWS_ENDPOINT_URL": "nowhere:80"}, None, "nowhere:80: .*AWS_ENDPOINT_URL"),
        ({"AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"}, None, "does not answer"),
        ({"AWS_PROFILE": "nobody"}, None, "profile .*nobody"),
    ],
)
def test_an_error_is_one_line(
    environment: dict[str, str | None],
    place: str | None,
    named: str,
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(s3, "ATTEMPTS", 1)
    for name, value in environment.items():
        if value is None:
            monkeypatch.delenv(name)
        else:
            monkeypatch.setenv(name, value)
    with pytest.raises(StorageError, match=named) as caught:
        open_store(place or f"s3://{bucket}/x").check()
    assert "\n" not in str(caught.value)
    assert "a-secret-of-the-tests" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "named"),
    [
        (None, r"http://127\.0\.0\.1:\d+ does not answer"),
        ("me:hush@nowhere:80", " nowhere:80: "),
        ("http://me:hush@no where", " http://no where: "),
    ],
)
@pytest.mark.usefixtures("closed_endpoint")
def test_the_password_of_an_endpoint_is_not_shown(
    url: str | None, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if url is not None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    with pytest.raises(StorageError, match=named) as caught:
        open_store("s3://bucket/x").check()
    assert "hush" not in str(caught.value)
