import logging
import os
import socket
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest

import jobs
from jobs.checks import ray_cluster
from jobs.commands import runs
from physrl.config import RunConfig, load_config
from physrl.config.model import LoRAConfig
from physrl.errors import ConfigError, PhysRLError, SimulationError
from physrl.storage.run_folder import open_run
from tests.support.command_line import call, call_refused
from tests.support.models import save_adapter, write_model_config

HEAVY = ("torch", "ray", "vllm", "deepspeed", "transformers", "pybullet")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration that passes every check."""
    model = tmp_path / "model"
    write_model_config(model)
    file = tmp_path / "run.yaml"
    file.write_text(f"output: {tmp_path / 'runs'}\nmodel: {{path: {model}}}\n")
    return file


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        (["typo=1"], ["'typo'"]),
        (["seed"], ["'seed'", "key.path=value"]),
        (["algorithm.group_size=1"], ["algorithm.group_size is 1"]),
        (["algorithm.lr=fast"], ["algorithm.lr is 'fast'"]),
        (["model.lora.rank=0"], ["model.lora.rank is 0"]),
        (["algorithm.updates_per_rollout=300"], ["300", "256"]),
        (["model.path=./nowhere"], ["model.path is ./nowhere"]),
        (["model.path=tests"], ["/tests", "config.json"]),
        (["model.path=Some/Model"], ["model.path is Some/Model"]),
        (["model.adapter=nowhere"], ["model.adapter is nowhere", "model.lora is null"]),
        (["model.adapter=nowhere", "model.lora.rank=4"], ["nowhere", "adapter_config.json"]),
        (["evaluation.real_images=nowhere"], ["nowhere does not exist"]),
        (["evaluation.real_images=README.md"], ["README.md"]),
        (["data=nowhere"], ["/nowhere", "manifest.json"]),
        (["evaluation.data.place=s3://"], ["evaluation.data.place is 's3://'"]),
        (["output=/proc/here"], ["/proc/here/run", "output="]),
        (["environment.margin=[0.499, 0.5]"], ["environment.margin"]),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    overrides: list[str],
    named: list[str],
    config: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    line = call_refused(capsys, "train", "--config", config, *overrides)
    assert line.startswith("error: ")
    assert all(part in line for part in named)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], ["Missing command"]),
        (["trian"], ["'trian'"]),
        (["train"], ["'--config'"]),
        (["train", "--config", "nowhere.yaml"], ["nowhere.yaml does not exist"]),
        (["report", "nowhere"], ["'nowhere' does not exist"]),
        (["preview", "stack"], ["'stack'", "stability or judge or"]),
        (["preview", "place", "--out", "sheet"], ["--out is sheet", ".png"]),
        (["preview", "place", "--out", "sheet.psd"], ["--out is sheet.psd", ".png"]),
        (["preview", "place", "--level", "dim"], ["environment.randomization is 'dim'"]),
        (["preview", "place", "--landscape", "--video"], ["--landscape", "--video"]),
        (["preview", "place", "--answer", "1 2"], ["--answer is '1 2'", "--video"]),
        (["preview", "place", "--generator", "short"], ["'short'", "iid or tall or"]),
        (["preview", "place", "--landscape", "--index", "9" * 30], ["'--index'"]),
        (["preview", "place", "--seed", "9" * 30], ["'--seed'"]),
        (["preview", "stability", "--landscape"], ["'stability'", "stabilize or"]),
        (["preview", "place", "--video", "--out", "v.avi"], ["v.avi", ".gif or .mp4"]),
        (["preview", "place", "--video", "--answer", "up"], ["--answer is 'up'"]),
        (["preview", "place", "--video", "--answer", "0 -90"], ["--answer is '0 -90'"]),
    ],
)
def test_bad_command_lines(
    arguments: list[str], named: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    line = call_refused(capsys, *arguments)
    assert all(part in line for part in named)


def test_policy_folder_is_checked(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = call_refused(capsys, "evaluate", "--config", config, "--policy", "/nowhere")
    assert line.startswith("error: --policy is /nowhere: ")


def test_labels_that_name_a_missing_photograph(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "labels.csv").write_text("file,falls\ngone.png,1\n")
    override = f"evaluation.real_images={tmp_path}"
    assert "gone.png is missing" in call_refused(capsys, "train", "--config", config, override)


def test_port_in_use(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ray_cluster, "announced_address", lambda: None)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        overrides = ["runtime.dashboard=true", f"runtime.dashboard_port={port}"]
        line = call_refused(capsys, "train", "--config", config, *overrides)
    assert f"runtime.dashboard_port is {port}: " in line


def test_adapter_of_another_rank(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_adapter(tmp_path, LoRAConfig(rank=8))
    overrides = [f"model.adapter={tmp_path}", "model.lora.rank=4"]
    assert "model.lora.rank=8" in call_refused(capsys, "train", "--config", config, *overrides)


def test_interruption_is_one_line_and_exit_code_130(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(runs, "load_config", interrupted)
    assert call(capsys, "train", "--config", config) == (130, "", "interrupted\n")


@pytest.mark.parametrize(
    "verb", ["demo", "train", "sft", "extend", "evaluate", "report", "doctor", "preview", "collect"]
)
def test_every_verb_shows_an_example(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, printed, _ = call(capsys, verb, "--help")
    assert code == 0
    assert f"Example: physrl {verb}" in printed


def test_mistakes_are_found_before_anything_heavy_is_imported(config: Path) -> None:
    script = (
        "import sys\n"
        "from jobs import cli\n"
        "try:\n    cli.main()\n"
        f"finally:\n    print([name for name in {HEAVY} if name in sys.modules])\n"
    )
    for verb, override in (
        ("train", "typo=1"),
        ("train", "algorithm.group_size=1"),
        ("train", "model.path=Some/Model"),
        ("train", "output=/proc/x"),
        ("demo", "warm_start=null"),
    ):
        result = subprocess.run(
            [sys.executable, "-c", script, verb, "--config", config, override],
            capture_output=True,
            text=True,
            env=os.environ | {"HF_HUB_OFFLINE": "1"},
        )
        assert result.returncode == 2
        assert result.stdout == "[]\n"
        assert result.stderr.count("\n") == 1


def test_resume_says_where_nothing_lies_and_an_early_end_frees_the_name(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(jobs, "train", SimpleNamespace(run=interrupted), raising=False)
    folder = load_config(config).folder
    code, printed, error = call(capsys, "train", "--config", config, "--resume")
    assert code == 130
    assert printed == f"nothing to resume in {folder}: a new run begins\n"
    assert "free again" in error
    code, printed, _ = call(capsys, "train", "--config", config, "seed=1")
    assert (code, printed) == (130, "")  # the name is not taken


def test_warnings_of_libraries_go_to_the_runs_log(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def noisy(checked: RunConfig) -> None:
        (checked.folder / "metrics.jsonl").write_text("")
        warnings.warn("divide by zero", RuntimeWarning, stacklevel=1)

    monkeypatch.setattr(jobs, "train", SimpleNamespace(run=noisy), raising=False)
    logging.captureWarnings(False)  # an earlier call of this process captured those of its test
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert call(capsys, "train", "--config", config) == (0, "", "")
    assert "divide by zero" in (load_config(config).folder / "warnings.log").read_text()
    logging.captureWarnings(False)


def test_a_run_is_extended_by_a_command(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trained: list[int] = []
    train = SimpleNamespace(run=lambda config: trained.append(config.algorithm.steps))
    monkeypatch.setattr(jobs, "train", train, raising=False)
    folder = open_run(load_config(config, ["algorithm.steps=8"]), resume=False)
    (folder / "metrics.jsonl").write_text("")
    assert call(capsys, "extend", folder, "steps=12") == (0, "", "")
    assert trained == [12]
    assert "steps=N" in call_refused(capsys, "extend", folder, "lr=1")
    assert "12 steps" in call_refused(capsys, "extend", folder, "steps=12")


@pytest.mark.parametrize("verb", ["train", "demo"])
def test_a_taken_name_is_found_before_anything_heavy_is_imported(verb: str, config: Path) -> None:
    overrides = ["warm_start.steps=1"]
    open_run(load_config(config, overrides), resume=False)
    script = (
        "import sys\n"
        "from jobs import cli\n"
        "try:\n    cli.main()\n"
        "finally:\n    print([name for name in ('torch', 'ray') if name in sys.modules])\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, verb, "--config", config, *overrides],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 2
    assert result.stdout == "[]\n"
    assert "--resume" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("cause", "exit_code"),
    [(ConfigError("that is wrong:\nmend it"), 2), (SimulationError("that is wrong: mend it"), 1)],
)
@pytest.mark.parametrize("remote", [True, False])
def test_errors_are_one_line_wherever_they_were_raised(
    remote: bool,
    cause: PhysRLError,
    exit_code: int,
    config: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    error: Exception = cause
    if remote:
        from ray.exceptions import RayTaskError

        error = RayTaskError(
            "step", "Traceback\n  \x1b[36mlines\x1b[39m", cause
        ).as_instanceof_cause()

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(runs, "load_config", fail)
    line = "error: that is wrong: mend it\n"
    assert call(capsys, "train", "--config", config) == (exit_code, "", line)
