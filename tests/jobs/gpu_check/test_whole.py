"""The whole check on a CPU, with a random model of the real form."""

import json
from pathlib import Path

import pytest

from jobs.gpu_check.machine import communication, driver
from jobs.gpu_check.rows import Skipped
from tests.support.command_line import call, call_refused


@pytest.mark.slow
def test_everything_that_needs_no_gpu_passes_on_a_cpu(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    patient = [f"runtime.{name}_timeout_s=3600" for name in ("start", "generation", "update")]
    given = ["--device", "cpu", f"output={tmp_path}", *patient]
    code, printed, _ = call(capsys, "gpu-check", *given)
    found = json.loads(printed.splitlines()[-1])
    assert (code, found["failures"]) == (0, [])
    assert found["device"] == "cpu"
    assert (found["passed"], found["failed"], found["skipped"]) == (10, 0, 2)
    assert found["logprob_difference"] < 0.02
    assert found["rewarded_rise"] > 0
    assert found["generated_tokens_per_s"] > 0
    assert list(tmp_path.iterdir()) == []


def test_a_machine_without_gpus_skips_what_needs_them() -> None:
    with pytest.raises(Skipped):
        driver(gpus=0)
    with pytest.raises(Skipped):
        communication(gpus=1)


def test_a_missing_model_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = call_refused(capsys, "gpu-check", "model.path=./nowhere", f"output={tmp_path}")
    assert "model.path is ./nowhere" in line
