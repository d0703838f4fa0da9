"""Jobs that `make submit-...` submits, and their logs."""

import os
import re
import subprocess
import threading
import time

from tests.e2e.process_tree import end_tree
from tests.e2e.ray_cluster import RayCluster
from tests.support.paths import ROOT

ANSI = re.compile(r"\x1b\[[0-9;]*m")
SUBMITTED = r"Job '(\w+)' submitted successfully"


class Submission:
    """A running `make submit-<verb>`, whose output is printed and kept.

    Args:
        verb: suffix of the target's name.
        variables: variables of the target.
    """

    def __init__(self, cluster: RayCluster, verb: str, **variables: str) -> None:
        given = [f"{name}={value}" for name, value in variables.items()]
        self.lines: list[str] = []
        self._verb = verb
        self._process = subprocess.Popen(
            [*make(f"submit-{verb}"), f"ADDRESS={cluster.address}", *given],
            cwd=ROOT,
            env=os.environ | cluster.client,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, pattern: str, seconds: float) -> re.Match[str]:
        """Wait for a line with a pattern; return the first match."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            ended = not self._reader.is_alive()
            for line in list(self.lines):
                if (match := re.search(pattern, line)) is not None:
                    return match
            if ended:
                raise RuntimeError(f"{self._verb} ended without '{pattern}'")
            time.sleep(0.1)
        raise TimeoutError(f"{self._verb} printed no '{pattern}' within {seconds:g} s")

    def wait(self, seconds: float) -> int:
        """Wait for the end of the command; return its exit status."""
        status = self._process.wait(seconds)
        self._reader.join()
        return status

    def close(self) -> None:
        """End the command, but not the job."""
        end_tree(self._process.pid)
        self._process.wait()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(ANSI.sub("", line.rstrip()))
            print(f"  {self._verb} | {self.lines[-1]}", flush=True)


def make(target: str) -> list[str]:
    """Return the command of a target, which runs in the light client."""
    return ["make", "--no-print-directory", "CLIENT_READY=.venv-client/ready", target]
