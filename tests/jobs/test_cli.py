import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs import cli
from jobs.checks import run as preflight
from physrl.config import load_config
from physrl.config.model import LoRAConfig
from physrl.errors import ConfigError, PhysRLError, SimulationError
from physrl.storage.run_folder import open_run

HEAVY = ("torch", "ray", "vllm", "deepspeed", "transformers", "pybullet")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration that passes every check."""
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text('{"model_type": "qwen2_5_vl"}')
    file = tmp_path / "run.yaml"
    file.write_text(f"output: {tmp_path / 'runs'}\nmodel: {{path: {model}}}\n")
    return file


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, str]:
    """Exit code and stderr of the command line in this process."""
    monkeypatch.setattr(sys, "argv", ["physrl", *arguments])
    with pytest.raises(SystemExit) as exit:
        cli.main()
    code = exit.value.code or 0
    assert isinstance(code, int)
    return code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["typo=1"], "unknown key 'typo'"),
        (["seed"], "override 'seed' is not of the form key.path=value"),
        (["algorithm.group_size=1"], "algorithm.group_size is 1"),
        (["algorithm.lr=fast"], "algorithm.lr is 'fast'"),
        (["model.lora.rank=0"], "model.lora.rank is 0"),
        (["algorithm.updates_per_rollout=257"], "updates_per_rollout 257"),
        (["model.path=./nowhere"], "model.path is ./nowhere: there is no such folder"),
        (["model.path=tests"], "/tests: the folder holds no config.json"),
        (
            ["model.path=Some/Model"],
            "model.path is Some/Model: no such folder, and the hub",
        ),
        (["model.adapter=nowhere"], "model.adapter is nowhere but model.lora is null"),
        (["model.adapter=nowhere", "model.lora.rank=4"], "no readable LoRA"),
        (["evaluation.real_images=nowhere"], "photo folder nowhere does not exist"),
        (["evaluation.real_images=README.md"], "README.md is not a readable Parquet file"),
        (["data=nowhere"], "/nowhere holds no dataset: manifest.json is missing"),
        (["evaluation.data.place=s3://"], "evaluation.data.place is 's3://': name a folder"),
        (["output=/proc/here"], "output folder /proc/here/run cannot be written"),
        (["environment.margin=[0.499, 0.5]"], "environment.margin"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    overrides: list[str],
    message: str,
    config: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, said = run(monkeypatch, capsys, "train", "--config", str(config), *overrides)
    assert code == 2
    assert said.startswith("error: ")
    assert message in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing command"),
        (["trian"], "No such command 'trian'"),
        (["train"], "Missing option '--config'"),
        (["train", "--config", "nowhere.yaml"], "nowhere.yaml does not exist"),
        (["report", "nowhere"], "'nowhere' does not exist"),
        (["preview", "stack"], "there is no task 'stack': choose stability or stabilize or"),
        (["preview", "place", "--out", "sheet"], "--out is sheet: end it in .png"),
        (["preview", "place", "--out", "sheet.psd"], "--out is sheet.psd: end it in .png"),
        (["preview", "place", "--level", "dim"], "environment.randomization is 'dim'"),
        (["preview", "place", "--landscape", "--video"], "are two previews: ask for one of them"),
        (["preview", "place", "--answer", "1 2"], "only a video shows an answer; add --video"),
        (["preview", "place", "--generator", "short"], "there is no generator 'short': choose iid"),
        (["preview", "place", "--landscape", "--index", "9" * 30], "Invalid value for '--index'"),
        (["preview", "place", "--seed", "9" * 30], "Invalid value for '--seed'"),
        (["preview", "stability", "--landscape"], "'stability' has no landscape"),
        (["preview", "place", "--video", "--out", "v.avi"], ".gif or .mp4"),
        (
            ["preview", "place", "--video", "--answer", "up"],
            "--answer is 'up': not two integers; the ideal is '",
        ),
        (
            ["preview", "place", "--video", "--answer", "0 -90"],
            "--answer is '0 -90': the red block does not fit there; move it away",
        ),
    ],
)
def test_bad_command_lines(
    arguments: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, said = run(monkeypatch, capsys, *arguments)
    assert code == 2
    assert message in said
    assert said.count("\n") == 1


def test_policy_folder_is_checked(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["evaluate", "--config", str(config), "--policy", "/nowhere"]
    code, said = run(monkeypatch, capsys, *arguments)
    assert code == 2
    assert said == "error: --policy is /nowhere: there is no such folder; name one that exists\n"


def test_labels_that_name_a_missing_photograph(
    config: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "labels.csv").write_text("file,falls\ngone.png,1\n")
    override = f"evaluation.real_images={tmp_path}"
    code, said = run(monkeypatch, capsys, "train", "--config", str(config), override)
    assert code == 2
    assert "gone.png is missing" in said
    assert said.count("\n") == 1


def test_port_in_use(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(preflight, "announced_address", lambda: None)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        overrides = ["runtime.dashboard=true", f"runtime.dashboard_port={port}"]
        code, said = run(monkeypatch, capsys, "train", "--config", str(config), *overrides)
    assert code == 2
    assert f"runtime.dashboard_port is {port}: the port is in use" in said


def test_adapter_of_another_rank(
    config: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    save_adapter: Callable[[Path, LoRAConfig], None],
) -> None:
    save_adapter(tmp_path, LoRAConfig(rank=8))
    overrides = [f"model.adapter={tmp_path}", "model.lora.rank=4"]
    code, said = run(monkeypatch, capsys, "train", "--config", str(config), *overrides)
    assert code == 2
    assert "set model.lora.rank=8" in said


def test_interruption_is_one_line_and_exit_code_130(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "load_config", interrupted)
    code, said = run(monkeypatch, capsys, "train", "--config", str(config))
    assert (code, said) == (130, "interrupted\n")


@pytest.mark.parametrize(
    "verb", ["demo", "train", "sft", "evaluate", "report", "doctor", "preview", "collect"]
)
def test_every_verb_shows_an_example(
    verb: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["physrl", verb, "--help"])
    with pytest.raises(SystemExit) as exit:
        cli.main()
    assert not exit.value.code
    assert f"Example: physrl {verb}" in capsys.readouterr().out


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


@pytest.mark.parametrize("verb", ["train", "demo"])
def test_a_name_that_is_taken_is_found_before_anything_heavy_is_imported(
    verb: str, config: Path
) -> None:
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
    assert "already holds a run" in result.stderr
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

    monkeypatch.setattr(cli, "load_config", fail)
    code, said = run(monkeypatch, capsys, "train", "--config", str(config))
    assert (code, said) == (exit_code, "error: that is wrong: mend it\n")
