"""The light client: commands that work with the packages of requirements/client.txt alone."""

import json
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest

from physrl.config.study import load_study_config
from physrl.evaluation.cells import open_cell_store
from physrl.evaluation.plan import plan_study
from physrl.storage.checkpoints import Checkpoints
from tests.support.paths import ROOT
from tests.support.study_files import write_study

CLIENT = """
import json, runpy, sys
from importlib.machinery import PathFinder

class ClientsPathFinder:
    find_distributions = PathFinder.find_distributions

    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] not in absent:
            return PathFinder.find_spec(name, path, target)

absent = set(json.loads(sys.argv.pop(1)))
sys.meta_path[sys.meta_path.index(PathFinder)] = ClientsPathFinder
sys.argv.pop(0)
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


def installed_with(requirements: Path) -> set[str]:
    """List the distributions that a requirement file brings."""
    names = re.findall(r"^([\w-]+)==", requirements.read_text(), re.MULTILINE)
    found: set[str] = set()
    while names:
        name = normal(names.pop())
        if name in found:
            continue
        try:
            needed = requires(name) or []
        except PackageNotFoundError:  # of another platform
            continue
        found.add(name)
        names += [re.match(r"[\w.-]+", each)[0] for each in needed if "extra ==" not in each]  # type: ignore[index]
    return found


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture(scope="module")
def absent() -> str:
    client = installed_with(ROOT / "requirements" / "client.txt")
    assert {"ray", "boto3", "numpy"} <= client
    modules = [
        module
        for module, owners in packages_distributions().items()
        if not client & set(map(normal, owners)) and module not in ("physrl", "cluster", "jobs")
    ]
    assert {"torch", "vllm", "deepspeed", "pyarrow", "transformers", "scipy"} <= set(modules)
    return json.dumps(modules)


def call(
    absent: str, *arguments: object, module: str = "jobs.cli"
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", CLIENT, absent, module, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("module", ["jobs.cli", "jobs.checks.submission", "jobs.pull"])
def test_help_needs_no_more(module: str, absent: str) -> None:
    helped = call(absent, "--help", module=module)
    assert (helped.returncode, helped.stderr) == (0, "")


def test_doctor_needs_no_more(absent: str) -> None:
    doctor = call(absent, "doctor")
    assert (doctor.returncode, doctor.stderr) == (0, "")
    assert "light client" in doctor.stdout


def test_pull_and_status_need_no_more(absent: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    Checkpoints(run, 1).commit(20, {}, lambda folder: (folder / "weights").touch())
    pulled = call(absent, "pull", run, "--out", tmp_path / "out")
    assert (pulled.returncode, pulled.stderr) == (0, "")
    assert (tmp_path / "out" / "step-00000020" / "weights").exists()
    store = str(tmp_path / "store")
    open_cell_store(store).save_plan(plan_study(load_study_config(write_study(tmp_path))))
    for arguments in (("status", store), ("pull", store, "--list")):
        shown = call(absent, *arguments)
        assert (shown.returncode, shown.stderr) == (0, "")
        assert "base-place-grpo-seed0" in shown.stdout.replace("\n", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ("demo",),
        ("train", "--config", "jobs/configs/demo.yaml"),
        ("preview", "place"),
        ("report", "docs"),
        ("baseline",),
        ("sweep", "--config", "jobs/configs/sweep-smoke.yaml"),
        ("collect", "task=place", "out={folder}"),
    ],
)
def test_other_commands_say_what_they_need(
    arguments: tuple[str, ...], absent: str, tmp_path: Path
) -> None:
    given = [argument.format(folder=tmp_path / "out") for argument in arguments]
    more = [f"output={tmp_path}"] if arguments[0] in ("demo", "train", "baseline") else []
    refused = call(absent, *given, *more)
    assert refused.returncode == 2
    (line,) = refused.stderr.splitlines()
    assert "make install" in line
