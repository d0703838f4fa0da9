"""KubeRay's custom resource definitions: found in a folder, or fetched once.

python -m tests.helm.crds       find or fetch them, or say in one line where to get them (exit 2)
"""

import gzip
import hashlib
import os
import sys
import urllib.request
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.support.paths import ROOT

VERSION = "v1.7.0"
SOURCE = (
    f"https://raw.githubusercontent.com/ray-project/kuberay/{VERSION}/ray-operator/config/crd/bases"
)
HASHES = {
    "ray.io_rayclusters": "c44704442eef0c6721ad40c1d66782c8bd3fdab9d3344306a5820910a679baa1",
    "ray.io_rayjobs": "01a5cf3b17c1769fda44af7e82debcd98722f0c27b9ab84d084681c6649121f5",
}
"""SHA-256 of the files of VERSION that the chart uses."""
VARIABLE = "KUBERAY_CRDS"
FETCHED = ROOT / "build" / "kuberay-crds"
MISSING = (
    "KubeRay's CRDs are missing: put ray.io_rayclusters.yaml and ray.io_rayjobs.yaml from "
    f"{SOURCE} into build/kuberay-crds, or set {VARIABLE} to a folder that holds them"
)
TIMEOUT_S = 20


def find_crds() -> Path | None:
    """Find the folder: $KUBERAY_CRDS, else ../shared/kuberay-crds or above, else build/."""
    if named := os.environ.get(VARIABLE):
        return Path(named) if _holds(Path(named)) else None
    beside = [parent / "shared" / "kuberay-crds" for parent in ROOT.parents]
    return next((place for place in (*beside, FETCHED) if _holds(place)), None)


def _holds(folder: Path) -> bool:
    return all(_file(folder, name) is not None for name in HASHES)


def _file(folder: Path, name: str) -> Path | None:
    files = (folder / f"{name}.yaml.gz", folder / f"{name}.yaml")
    return next((file for file in files if file.is_file()), None)


def fetch() -> Path:
    """Fetch the files of VERSION into build/.

    Raises:
        OSError: no network, or other content than HASHES has.
    """
    FETCHED.mkdir(parents=True, exist_ok=True)
    for name, sha256 in HASHES.items():
        with urllib.request.urlopen(f"{SOURCE}/{name}.yaml", timeout=TIMEOUT_S) as answer:
            content = answer.read()
        if (found := hashlib.sha256(content).hexdigest()) != sha256:
            raise OSError(f"{SOURCE}/{name}.yaml has SHA-256 {found}, not {sha256}")
        (FETCHED / f"{name}.yaml").write_bytes(content)
    return FETCHED


def require_crds() -> Path:
    """Find the folder or fetch its files; exit with code 2 and one line where neither works."""
    if (folder := find_crds()) is not None:
        return folder
    try:
        if os.environ.get(VARIABLE):
            raise OSError(f"{VARIABLE} is {os.environ[VARIABLE]}")
        return fetch()
    except OSError as error:
        print(f"error: {MISSING} ({error})", file=sys.stderr)
        sys.exit(2)


@cache
def read_crd(folder: Path, name: str) -> dict[str, Any]:
    """Schemas of a definition by version."""
    file = _file(folder, name)
    if file is None:
        raise FileNotFoundError(MISSING)
    opened = gzip.open if file.suffix == ".gz" else open
    with opened(file, "rt", encoding="utf-8") as text:
        content = yaml.load(text, Loader=yaml.CSafeLoader)
    versions = content["spec"]["versions"]
    return {v["name"]: v["schema"]["openAPIV3Schema"] for v in versions if v["served"]}


if __name__ == "__main__":
    print(require_crds())
