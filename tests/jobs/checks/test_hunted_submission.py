"""What Ray packs of a folder, and who answers in place of a cluster."""

import logging
import random
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from ray._private.ray_constants import get_runtime_env_default_excludes
from ray._private.runtime_env.packaging import create_package

from jobs.checks import working_directory
from jobs.checks.submission import check_cluster
from jobs.checks.working_directory import check_config, check_folder, sent_files
from physrl.errors import UserError
from tests.support.answering_server import Answer, answering

NAMES = ("a.py", "b.yaml", "c.bin", "d é.txt", ".hidden", "e")
FOLDERS = (
    "",
    "jobs",
    "jobs/configs",
    "runs",
    "venv",
    ".venv",
    ".git",
    ".git/info",
    "x/__pycache__",
)
RULES = (
    "*.yaml", "runs/", "/runs", "!b.yaml", "jobs/*", "**/c.bin", "*.bin", "e", "# e", "", "*",
    "!*/",
    "jobs/**/a.py", "\\#e", "d*", "x", "!jobs", "[ab].*",
)  # fmt: skip


def packed(folder: Path, archive: Path) -> set[str]:
    create_package(
        str(folder),
        archive,
        include_gitignore=True,
        excludes=get_runtime_env_default_excludes(),
        logger=logging.getLogger("quiet"),
    )
    with zipfile.ZipFile(archive) as content:
        return {info.filename for info in content.infolist() if not info.is_dir()}


@pytest.mark.parametrize("seed", range(60))
def test_hunted_sent_files_are_those_in_rays_archive(seed: int, tmp_path: Path) -> None:
    draw, folder = random.Random(seed), tmp_path / "work" / "tree"
    for place in FOLDERS:
        (folder / place).mkdir(parents=True, exist_ok=True)
        for name in draw.sample(NAMES, 3):
            (folder / place / name).write_text(name)
    for place in ("..", *FOLDERS):
        for ignore in (".gitignore", ".rayignore"):
            if draw.random() < 0.3:
                rules = draw.sample(RULES, draw.randint(1, 3))
                (folder / place / ignore).write_text("\n".join(rules))
    archive = packed(folder, tmp_path / "archive.zip")
    assert {path.as_posix() for path in sent_files(folder)} == archive
    for config in ("b.yaml", "jobs/b.yaml", "jobs/configs/b.yaml", "runs/b.yaml"):
        if config in archive:
            check_config(folder, config)
        else:
            with pytest.raises(UserError, match=config):
                check_config(folder, config)


@pytest.mark.parametrize(
    ("file", "ignore", "accepted"),
    [
        ("runs/w", ".gitignore", True),
        ("runs/w", ".rayignore", True),
        ("runs/w", "../.gitignore", False),
        ("runs/w", ".git/info/exclude", False),
        ("venv/w", None, True),
        (".git/objects/w", None, True),
        ("data/w", None, False),
    ],
)
def test_hunted_size_is_that_of_what_ray_sends(
    file: str, ignore: str | None, accepted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(working_directory, "LARGEST_BYTES", 1 << 20)
    folder = tmp_path / "tree"
    (folder / file).parent.mkdir(parents=True)
    (folder / file).write_bytes(bytes(2 << 20))
    if ignore is not None:
        (folder / ignore).parent.mkdir(parents=True, exist_ok=True)
        (folder / ignore).write_text("runs/\n")
    if accepted:
        check_folder(folder)
    else:
        with pytest.raises(UserError, match=file.partition("/")[0]):
            check_folder(folder)


def test_hunted_ignore_file_that_ray_cannot_read(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=str(tmp_path)):
        check_folder(tmp_path)


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Answer]:
    for name in ("http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with answering() as answer:
        answer.status = 403
        monkeypatch.setenv("http_proxy", answer.url.replace("//", "//me:hush@"))
        yield answer


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_hunted_proxy_for_this_machine_gets_neither_request_nor_token(
    host: str, proxy: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "t" * 64}
    with answering() as dashboard:
        dashboard.body = b"[]"
        address = f"http://{host}:{dashboard.url.rpartition(':')[2]}"
        with pytest.raises(UserError, match=f"NO_PROXY={host}") as caught:
            check_cluster({"RAY_ADDRESS": address} | given)
        assert "hush" not in str(caught.value)
        assert proxy.requests == dashboard.requests == []
        monkeypatch.setenv("no_proxy", host)
        check_cluster({"RAY_ADDRESS": address} | given)
        assert len(dashboard.requests) == 1


@pytest.mark.parametrize("status", [401, 403, 407])
@pytest.mark.parametrize("text", [b"<html>Blocked by policy</html>", b"", b"\xff\x00"])
def test_hunted_refusal_of_a_proxy_is_not_the_clusters(
    status: int, text: bytes, proxy: Answer
) -> None:
    proxy.status, proxy.body = status, text
    with pytest.raises(UserError, match=r"NO_PROXY=cluster\.example") as caught:
        check_cluster({"RAY_ADDRESS": "http://cluster.example:8265"})
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "text", "named"),
    [
        (401, b"Unauthorized: Missing authentication token", "RAY_AUTH_MODE=token"),
        (403, b"Forbidden: Invalid authentication token", "Secret"),
        (404, b"", "404"),
        (200, b"<html>", None),
    ],
)
def test_hunted_refusal_of_the_cluster_through_a_proxy(
    status: int, text: bytes, named: str | None, proxy: Answer
) -> None:
    proxy.status, proxy.body = status, text
    given = {"RAY_ADDRESS": "http://cluster.example:8265"}
    if named is None:
        check_cluster(given)
        return
    with pytest.raises(UserError, match=named):
        check_cluster(given)
