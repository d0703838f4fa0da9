from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import SimpleNamespace

import pytest

from jobs import doctor


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
