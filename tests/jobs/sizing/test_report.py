from dataclasses import replace

import pytest

from jobs.sizing import report
from physrl.config.load import load_config
from tests.support.sizes import BILLION, LARGE


def test_a_verdict_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    unknown = load_config(None, ["model.lora.rank=4", "runtime.gpus_per_rank=1"])
    silent = replace(LARGE, gpu_memory=None)
    monkeypatch.setattr(report, "capacity", lambda config: silent)
    monkeypatch.setattr(report, "model_size", lambda model: BILLION)
    assert report.run(unknown)
    assert "run may fit on a large machine" in capsys.readouterr().out
    monkeypatch.setattr(report, "capacity", lambda config: LARGE)
    demo = load_config(None, ["name=mine", "model.lora.rank=4"])
    assert report.run(demo)
    printed = capsys.readouterr().out
    assert "mine fits on a large machine" in printed
    assert "physrl sft" not in printed
    assert report.run(load_config(None, ["algorithm.type=sft"]))
    assert "physrl sft" in capsys.readouterr().out
    monkeypatch.setattr(report, "capacity", lambda config: replace(LARGE, memory=1e9))
    assert not report.run(demo)
    printed = capsys.readouterr().out
    assert "TOO LITTLE: host memory: needs ≈ " in printed
    assert "mine does not fit on a large machine" in printed
