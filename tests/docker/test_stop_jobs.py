"""Jobs on a real Ray head that is process 1 of its container: stopped, mistaken, deleted."""

import os
import signal
import sys
from collections.abc import Iterator

import pytest

from tests.support.ray_head import ADDRESS, ENDED, RayHead, can_unshare

JOB = """
import pathlib, signal, sys, time
def checkpoint(*_):
    time.sleep(2)
    pathlib.Path(sys.argv[1]).write_text("whole")
    sys.exit(0)
signal.signal(signal.SIGTERM, checkpoint)
print("training", flush=True)
pathlib.Path(sys.argv[1] + ".training").touch()
time.sleep(300)
"""
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not can_unshare(), reason="namespaces need root, unshare and ip"),
]


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayHead]:
    head = RayHead(tmp_path_factory.mktemp("head"), {})
    (head.tmp / "job.py").write_text(JOB)
    try:
        head.wait_until_ready()
        yield head
    finally:
        head.process.kill()
        head.process.wait()


def test_a_mistake_stops_the_job_which_kuberay_does_not_retry(head: RayHead) -> None:
    head.launch("mistake", "sh", "-c", "echo error: no such key; exit 2")
    assert head.wait_for("mistake", *ENDED) == "STOPPED"
    assert head.log("mistake") == "error: no such key\n"


def test_other_failures_fail(head: RayHead) -> None:
    head.launch("failure", "sh", "-c", "exit 3")
    assert head.wait_for("failure", *ENDED) == "FAILED"


def test_ray_job_stop_is_one_signal_and_a_checkpoint(head: RayHead) -> None:
    head.launch("stopped", sys.executable, "/tmp/job.py", "/tmp/stopped")
    head.wait_for_line("stopped", "training")
    head.execute("ray", "job", "stop", "--address", ADDRESS, "stopped")
    assert head.wait_for("stopped", *ENDED) == "STOPPED"
    assert (head.tmp / "stopped").read_text() == "whole"


def test_a_deleted_pod_writes_checkpoints_and_its_rayjob_is_retried(head: RayHead) -> None:
    head.launch("rayjob", sys.executable, "/tmp/job.py", "/tmp/rayjob")
    head.submit("submitted", sys.executable, "/tmp/job.py", "/tmp/submitted")
    head.wait_for_line("rayjob", "training")
    head.wait_for_file("submitted.training")
    hook = head.run_hook()
    assert (hook.returncode, hook.stderr) == (0, "")
    assert head.status("rayjob") == "FAILED"  # KubeRay retries it
    os.kill(head.pid, signal.SIGTERM)
    head.process.wait(60)
    assert (head.tmp / "rayjob").read_text() == (head.tmp / "submitted").read_text() == "whole"
