from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import SimpleNamespace

import pytest

from jobs import cli, doctor
from jobs.sizing import capacity


def test_a_complete_machine_is_fine(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "open-sesame")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "open-sesame")
    assert doctor.run()
    said = capsys.readouterr().out
    for part in ("Python", "torch", "vLLM", "Ray", "DeepSpeed", "PyBullet", "memory", "cores"):
        assert part in said
    assert "from env" in said
    assert "open-sesame" not in said


def test_what_is_missing_is_named_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def without_ray(package: str) -> str:
        if package == "ray":
            raise PackageNotFoundError
        return version(package)

    monkeypatch.setattr(doctor, "version", without_ray)
    assert not doctor.run()
    assert "Ray: make install\n" in capsys.readouterr().out


DEMO = str(cli.DEMO)


@pytest.mark.parametrize(("disk", "code", "verdict"), [(1e12, 0, "fits"), (1e3, 1, "does not fit")])
def test_a_run_is_sized(
    disk: float,
    code: int,
    verdict: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(capacity, "cluster_announced", lambda: False)
    monkeypatch.setattr(capacity, "free_disk", lambda folder: disk)
    with pytest.raises(SystemExit) as exit:
        cli.main(["doctor", "--config", DEMO, f"output={tmp_path}"])
    assert (exit.value.code or 0) == code
    assert f"demo {verdict} on this machine\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.path=/nowhere", "model.path is /nowhere: there is no such folder"),
        ("runtime.ranks=2", "unknown key 'runtime.ranks'"),
        (
            "runtime.vllm.tensor_parallel_size=two",
            "runtime.vllm.tensor_parallel_size is 'two': set it to a number of GPUs",
        ),
    ],
)
def test_a_run_that_cannot_be_sized(
    override: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit:
        cli.main(["doctor", "--config", DEMO, override])
    assert exit.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {message}")
    assert said.count("\n") == 1


def test_a_cluster_that_does_not_answer_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")
    with pytest.raises(SystemExit) as exit:
        cli.main(["doctor", "--config", DEMO])
    assert exit.value.code == 2
    assert "no Ray cluster answers at 127.0.0.1:9" in capsys.readouterr().err


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
    operator = {one.name: one for one in doctor.examine()}["DeepSpeed's CPU operator"]
    assert operator.found == found
