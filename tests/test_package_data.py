"""The files that an installation without this repository needs, beside the modules."""

import subprocess
import tomllib

from tests.support.paths import ROOT

SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
NEEDED = (".j2", ".json", ".yaml", ".js", ".css", ".txt", ".typed")


def test_every_file_in_a_package_is_in_the_wheel() -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "physrl", "jobs"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    data = {ROOT / name for name in tracked if name.endswith(NEEDED)}
    packaged = set()
    for package, patterns in SETTINGS["package-data"].items():
        folders = [ROOT / package.replace(".", "/")]
        if package == "*":  # folders without __init__.py are packages as well
            folders = [path.parent for path in data if path.parent.name.isidentifier()]
        for folder in folders:
            packaged |= {path for each in patterns for path in folder.glob(each)}
    assert data - packaged == set()
    assert len(data) > 20
