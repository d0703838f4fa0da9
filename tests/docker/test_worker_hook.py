"""The preStop hook's view of processes: it waits for actors and jobs, and not for zombies."""

import importlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.ray_head import DOCKER


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(DOCKER))
    yield importlib.import_module("stop_jobs")
    for name in ("stop_jobs", "run_job", "job_api"):
        sys.modules.pop(name, None)


def alive(process: "subprocess.Popen[bytes]", title: str) -> None:
    # The shell's own command line holds the title before it becomes it.
    program = Path(f"/proc/{process.pid}/cmdline")
    while not program.read_bytes().split(b"\0")[0].endswith(title.encode()):
        time.sleep(0.01)


@pytest.mark.parametrize(("title", "busy"), [("ray::LearnerRank.step", True), ("ray::IDLE", False)])
def test_a_worker_waits_for_actors_alone(
    hook: ModuleType, monkeypatch: pytest.MonkeyPatch, title: str, busy: bool
) -> None:
    process = subprocess.Popen(["bash", "-c", f"exec -a {title} sleep 30"])
    try:
        alive(process, title)
        others = {path.parent for path in hook.Path("/proc").glob("[0-9]*/cmdline")}
        own = hook.Path(f"/proc/{process.pid}")
        assert own in others
        monkeypatch.setattr(hook.Path, "glob", lambda path, pattern: [own / "cmdline"])
        assert hook.has_actors() is busy
    finally:
        process.kill()
        process.wait()


def test_a_job_is_alive_until_its_processes_have_ended(hook: ModuleType) -> None:
    metadata = {"metadata": {"job_submission_id": "a-test-of-the-hook"}}
    environment = {"RAY_JOB_CONFIG_JSON_ENV_VAR": json.dumps(metadata)}
    process = subprocess.Popen(["/bin/sleep", "30"], env=environment)
    alive(process, "sleep")
    assert hook.has_processes(["another", "a-test-of-the-hook"])
    process.kill()  # a zombie until it is waited for
    assert hook.wait_while(lambda: hook.has_processes(["a-test-of-the-hook"]), 10)
    process.wait()


def test_waiting_ends_at_the_deadline(hook: ModuleType) -> None:
    assert not hook.wait_while(lambda: True, 0)
