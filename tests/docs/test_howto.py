"""The recipes of docs/howto, performed as they are written."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.paths import ROOT, TINY_BASE

pytestmark = pytest.mark.slow

HOWTO = ROOT / "docs" / "howto"
BLOCK = re.compile(r"(?:^`(\S+)`:\n\n)?^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)

TABLE = re.compile(r"^class \w+Config\(.*?(?=^\w)", re.DOTALL | re.MULTILINE)
IMPLEMENTATION = re.compile(r"^\w+ = Implementation.*\n", re.MULTILINE)


def blocks(page: str) -> Iterator[tuple[str, str, str]]:
    """Yield the file (or nothing), the language and the text of each block of a page."""
    for block in BLOCK.finditer((HOWTO / page).read_text()):
        yield block[1] or "", block[2], block[3]


def run(command: list[str], folder: Path, *path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, path))}
    done = subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def try_it(page: str, folder: Path, *path: Path) -> None:
    """Run the commands and scripts that belong to no file."""
    for file, language, text in blocks(page):
        if not file and language == "python":
            run([sys.executable, "-c", text], folder, *path)
        elif not file and language == "bash":
            for line in text.splitlines():
                assert line.startswith("physrl ")
                command = ["-m", "jobs.cli", *shlex.split(line)[1:]]
                run([sys.executable, *command], folder, *path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder that has the assets of the checkout."""
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / TINY_BASE.name).symlink_to(TINY_BASE)
    return tmp_path


@pytest.mark.parametrize("page", ["add-a-task.md", "add-an-algorithm.md", "add-a-reward.md"])
def test_a_package_of_its_own(page: str, folder: Path) -> None:
    package, site = folder / "package", folder / "site"
    package.mkdir()
    for file, _, text in blocks(page):
        if file and "/" not in file:
            (package / file).write_text(text)
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    install += ["--no-build-isolation", "--target", str(site), str(package)]
    run(install, folder)
    try_it(page, folder, site, ROOT)


@pytest.mark.parametrize(
    ("page", "destination"),
    [
        ("add-a-task.md", "physrl/tasks/lean.py"),
        ("add-an-algorithm.md", "physrl/algorithms/plain.py"),
        ("add-a-reward.md", "physrl/rewards/near.py"),
    ],
)
def test_in_this_package(page: str, destination: str, folder: Path) -> None:
    source = folder / "source"
    for package in ("physrl", "jobs"):
        shutil.copytree(ROOT / package, source / package)
    modules = [text for file, _, text in blocks(page) if file.endswith(".py") and "/" not in file]
    (registry, change), *others = [
        (file, text) for file, kind, text in blocks(page) if kind == "diff"
    ]
    assert not others
    context, added = change.splitlines()
    before = (source / registry).read_text()
    after = before.replace(f"{context[1:]}\n", f"{context[1:]}\n{added[1:]}\n")
    assert after != before
    # A table goes where the others are; the module that is left has the function.
    table = "".join(TABLE.findall(modules[0]))
    head, name, tail = re.split(r"^(\w+(?:: .*)? = \w*Registry)", after, maxsplit=1, flags=re.M)
    (source / registry).write_text(head + table + name + tail)
    home = registry.removesuffix(".py").replace("/", ".")
    function = IMPLEMENTATION.sub("", modules[-1].replace(table, "") if table else modules[-1])
    function = function.replace("from plain import", f"from {home} import")
    (source / destination).write_text(function)
    try_it(page, folder, source)


def test_a_renderer(folder: Path) -> None:
    page, source = "add-a-renderer.md", folder / "source"
    for package in ("physrl", "jobs"):
        shutil.copytree(ROOT / package, source / package)
    for file, language, text in blocks(page):
        if file and language == "python":
            (source / file).write_text(text)
        elif file:
            lines = text.splitlines(keepends=True)
            removed, added = (
                "".join(line[1:] for line in lines if line[0] == sign) for sign in "-+"
            )
            before = (source / file).read_text()
            assert removed in before
            (source / file).write_text(before.replace(removed, added))
    try_it(page, folder, source)
