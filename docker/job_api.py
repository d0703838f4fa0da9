"""Ray's job API on the head of this pod, by the standard library alone, which imports at once."""

import json
import os
import urllib.request
from typing import Any

ADDRESS = os.environ.get("PHYSRL_DASHBOARD", "http://127.0.0.1:8265")
ENDED = {"SUCCEEDED", "FAILED", "STOPPED"}
TIMEOUT_S = 10


def request(path: str, method: str = "GET") -> Any:
    """Call the API with the pod's token and return the parsed answer.

    Raises:
        OSError: the head does not answer, or refuses.
    """
    headers = {}
    if token := os.environ.get("RAY_AUTH_TOKEN"):
        headers["Authorization"] = f"Bearer {token}"
    call = urllib.request.Request(f"{ADDRESS}{path}", method=method, headers=headers)
    with urllib.request.urlopen(call, timeout=TIMEOUT_S) as answer:
        return json.load(answer)


def running_jobs() -> list[str]:
    """Submission ids of jobs that have not ended."""
    jobs = request("/api/jobs/")
    return [
        job["submission_id"]
        for job in jobs
        if job.get("submission_id") and job["status"] not in ENDED
    ]


def stop(submission_id: str) -> None:
    """Ask Ray to stop a job: SIGTERM to its processes, SIGKILL after RAY_JOB_STOP_WAIT_TIME_S."""
    request(f"/api/jobs/{submission_id}/stop", "POST")
