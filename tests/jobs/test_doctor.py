from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import SimpleNamespace

import pytest

from jobs import doctor
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

    monkeypatch.setattr(doctor, "version", without_ray)
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
        ("runtime.vllm.tensor_parallel_size=two", "runtime.vllm.tensor_parallel_size is 'two'"),
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
