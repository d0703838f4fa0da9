"""The GPU benchmark on the CPU, without the packages that a GPU machine may lack."""

import json
import runpy
import subprocess
import sys

import pytest
import torch

from tests.support.paths import ROOT

SCRIPT = ROOT / "tests/benchmarks/gpu_learner.py"


@pytest.mark.slow
def test_it_measures_a_tiny_model_without_ray_vllm_and_pybullet() -> None:
    blocked = "import sys; sys.modules.update(dict.fromkeys(('ray', 'vllm', 'pybullet')))\n"
    code = f"{blocked}sys.argv = {[str(SCRIPT), '--tiny']}\nimport runpy\n"
    code += f"runpy.run_path({str(SCRIPT)!r}, run_name='__main__')"
    finished = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=600
    )
    assert finished.returncode == 0, finished.stderr
    figures = json.loads(finished.stdout.splitlines()[-1])
    assert max(figures["agreement_float32"].values()) < 1e-5
    assert max(figures["agreement_bfloat16"].values()) < 0.02
    assert figures["head_tiled"]["seconds"] > 0
    assert figures["head_naive"]["seconds"] > 0
    assert 0 < figures["update"]["grad_norm"] < float("inf")
    assert figures["update"]["tokens_per_s"] > 0


def test_without_a_gpu_it_fails_with_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [str(SCRIPT)])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
