"""Ray sessions on this machine."""

import os
import signal
import subprocess
import sys

import pytest
import ray

from cluster.runtime.session import check_gpus
from physrl.config.runtime import RuntimeConfig
from physrl.errors import UserError


def test_gpus_that_are_not_there_are_not_waited_for() -> None:
    runtime = RuntimeConfig(inference_servers=2, gpus_per_server=0.5, gpus_per_rank=1)
    check_gpus(runtime, 2)
    with pytest.raises(UserError, match=r"\b2 GPUs .* 1\b"):
        check_gpus(runtime, 1)
    check_gpus(RuntimeConfig(), 0)


WAITS_FOR_SIGTERM = """
from cluster.runtime.session import ray_session
from cluster.runtime.stopping import stop_on_signals
from physrl.config.runtime import RuntimeConfig
import time
import ray
with ray_session(RuntimeConfig()), stop_on_signals() as stop:
    print("ready", flush=True)
    while not stop.requested:
        time.sleep(0.05)
    time.sleep(1)
    print(ray.get(ray.remote(lambda: "the cluster is running").remote()), flush=True)
"""


@pytest.mark.slow
def test_sigterm_to_a_whole_command_leaves_its_cluster_running() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WAITS_FOR_SIGTERM],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    os.killpg(process.pid, signal.SIGTERM)
    output, _ = process.communicate(timeout=600)
    assert (process.returncode, output) == (0, "the cluster is running\n")


def test_workers_are_as_nice_as_their_driver(ray_cluster: None) -> None:
    """At Ray's own nice value of 15 they would hardly run next to another busy process."""
    assert ray.get(ray.remote(lambda: os.nice(0)).remote()) == os.nice(0)
