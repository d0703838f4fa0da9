"""The GPU benchmark on the CPU, without the packages that a GPU machine may lack."""

import json
import os
import subprocess
import sys

from tests.support.paths import ROOT

SCRIPT = ROOT / "tests/benchmarks/gpu_learner.py"


def run(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    blocked = "import sys; sys.modules.update(dict.fromkeys(('ray', 'vllm', 'pybullet')))\n"
    code = f"{blocked}sys.argv = {[str(SCRIPT), *options]}\nimport runpy\n"
    code += f"runpy.run_path({str(SCRIPT)!r}, run_name='__main__')"
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | environment,
        timeout=600,
    )


def test_it_measures_a_tiny_model_without_ray_vllm_and_pybullet() -> None:
    finished = run("--tiny")
    assert finished.returncode == 0, finished.stderr
    figures = json.loads(finished.stdout.splitlines()[-1])
    assert max(figures["agreement_float32"].values()) < 1e-5
    assert max(figures["agreement_bfloat16"].values()) < 0.02
    assert figures["head_tiled"]["seconds"] > 0
    assert figures["head_naive"]["seconds"] > 0
    assert 0 < figures["update"]["grad_norm"] < float("inf")
    assert figures["update"]["tokens_per_s"] > 0


def test_without_a_gpu_it_fails_with_one_line() -> None:
    finished = run(CUDA_VISIBLE_DEVICES="")
    assert finished.returncode == 2
    assert finished.stderr.splitlines()[-1].startswith("error: ")
