"""Resolve the GPU environment with pip and write gpu.lock: `make gpu-lock`, on Linux (x86-64)."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from packaging.utils import canonicalize_name
from packaging.version import Version

FOLDER = Path(__file__).parent
HEADER = """\
# Every package of an installation for GPUs (gpu.txt, deepspeed.txt, dev.txt) on Linux, x86-64 and
# Python 3.11, as pip resolved them; written by `make gpu-lock`. Three equals signs refuse builds
# with a local version, such as torch's `+cpu`.
"""


def resolve(report: Path) -> dict[str, Version]:
    """Let pip resolve the requirements, without installing, and return its choices by name."""
    files = [FOLDER / "gpu.txt", FOLDER / "dev.txt"]
    command = [
        *(sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet"),
        *("--disable-pip-version-check", "--only-binary", ":all:", "--report", str(report)),
        *("--constraint", str(FOLDER / "constraints.txt")),
        *(part for file in files for part in ("--requirement", str(file))),
    ]
    subprocess.run(command, check=True)
    packages = [each["metadata"] for each in json.loads(report.read_text())["install"]]
    return {canonicalize_name(p["name"]): Version(p["version"]) for p in packages}


def main() -> None:
    """Write the lock. DeepSpeed, which pip can only resolve beside torch, has its own pin."""
    with tempfile.TemporaryDirectory() as folder:
        chosen = resolve(Path(folder) / "report.json")
    name, _, version = (FOLDER / "deepspeed.txt").read_text().strip().partition("==")
    chosen[canonicalize_name(name)] = Version(version)
    lines = [f"{name}==={version}\n" for name, version in sorted(chosen.items())]
    (FOLDER / "gpu.lock").write_text(HEADER + "".join(lines))


if __name__ == "__main__":
    main()
