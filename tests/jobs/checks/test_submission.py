import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.checks import working_directory
from jobs.checks.submission import check_cluster, check_name
from jobs.checks.working_directory import check_config, check_folder
from physrl.errors import UserError
from tests.support.paths import ROOT
from tests.support.ports import free_port

DEMO = "jobs/configs/demo.yaml"
TOKEN = "t" * 64
# Ray's own authentication of its dashboard, in front of a page of this test.
DASHBOARD = """
import sys
import aiohttp, aiohttp.web
from ray._private.authentication.http_token_authentication import get_token_auth_middleware

async def jobs(request):
    return aiohttp.web.json_response([])

application = aiohttp.web.Application(middlewares=[get_token_auth_middleware(aiohttp)])
application.router.add_get("/api/jobs/", jobs)
aiohttp.web.run_app(application, host="127.0.0.1", port=int(sys.argv[1]), print=None)
"""


@pytest.fixture(scope="module")
def dashboard() -> Iterator[str]:
    port = free_port()
    environment = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN, "PATH": "/usr/bin:/bin"}
    process = subprocess.Popen([sys.executable, "-c", DASHBOARD, str(port)], env=environment)
    _wait_for(port)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait()


def _wait_for(port: int) -> None:
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError("the dashboard did not start")


def test_the_right_token_is_let_in(dashboard: str) -> None:
    check_cluster({"RAY_ADDRESS": dashboard, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN})
    check_cluster(
        {
            "RAY_API_SERVER_ADDRESS": f"{dashboard}/",
            "RAY_ADDRESS": "http://127.0.0.1:1",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": TOKEN,
        }
    )


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({}, "RAY_AUTH_MODE=token and RAY_AUTH_TOKEN"),
        ({"RAY_AUTH_MODE": "token"}, "RAY_AUTH_TOKEN"),
        ({"RAY_AUTH_TOKEN": TOKEN}, "RAY_AUTH_MODE=token"),
        ({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "x" * 64}, "refuses RAY_AUTH_TOKEN"),
    ],
)
def test_a_missing_or_wrong_token(dashboard: str, given: dict[str, str], named: str) -> None:
    with pytest.raises(UserError, match=named) as raised:
        check_cluster({"RAY_ADDRESS": dashboard} | given)
    assert dashboard in str(raised.value)
    assert "x" * 64 not in str(raised.value)


@pytest.mark.parametrize("address", ["", "localhost:8265", "ray://host:10001", "http://a:b@host"])
def test_an_address_that_is_not_a_dashboard(address: str) -> None:
    with pytest.raises(UserError, match=f"RAY_ADDRESS is '{address}'"):
        check_cluster({"RAY_ADDRESS": address})


def test_an_address_that_does_not_answer() -> None:
    with pytest.raises(UserError, match=r"http://127\.0\.0\.1:1 .*refused"):
        check_cluster({"RAY_ADDRESS": "http://127.0.0.1:1"})


def test_a_folder_that_is_too_large_is_refused_by_its_largest_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(working_directory, "LARGEST_BYTES", 3 << 20)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "weights").write_bytes(bytes(3 << 20))
    (tmp_path / "code.py").write_bytes(bytes(1 << 20))
    with pytest.raises(UserError, match=f"{tmp_path} is 4 MiB.*3 MiB.*runs is 3 MiB"):
        check_folder(tmp_path)
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    (tmp_path / ".gitignore").write_text("runs/\n")
    check_folder(tmp_path)


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"--folder is {tmp_path}/x: "):
        check_folder(tmp_path / "x")


@pytest.mark.parametrize("config", ["", "runs/mine.yaml", "/etc/mine.yaml", "absent.yaml"])
def test_a_config_that_would_not_be_sent(tmp_path: Path, config: str) -> None:
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    (tmp_path / ".gitignore").write_text("runs/\n")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "mine.yaml").touch()
    with pytest.raises(UserError, match=f"--config is '{config}'"):
        check_config(tmp_path, config)


def test_a_config_that_is_sent(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").touch()
    check_config(tmp_path, "mine.yaml")
    check_config(tmp_path, "./mine.yaml")
    with pytest.raises(UserError, match=f"--config is '{tmp_path}/mine.yaml'"):
        check_config(tmp_path, str(tmp_path / "mine.yaml"))  # does not exist on the cluster


@pytest.mark.parametrize("name", ["Place", "2nd", "a_b", "a-", "", "a" * 48])
def test_names_that_kubernetes_refuses(name: str) -> None:
    with pytest.raises(UserError, match=f"RUN is '{name}'"):
        check_name(name)


@pytest.mark.parametrize("name", ["a", "place-7b", "a" * 47])
def test_names_that_kubernetes_accepts(name: str) -> None:
    check_name(name)


def test_a_mistake_is_one_line_and_code_2() -> None:
    command = [sys.executable, "-m", "jobs.checks.submission", "--name", "My Run"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: RUN is 'My Run'")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("target", "given", "start"),
    [
        ("submit-train", {"RUN": "My_Run"}, "RUN is 'My_Run' (6 characters)"),
        ("submit-train", {"RUN": "mine"}, "--config is ''"),
        ("submit-sweep", {"RUN": "mine", "CONFIG": DEMO}, "RAY_ADDRESS is ''"),
        (
            "submit-train",
            {"RUN": "mine", "CONFIG": DEMO, "ADDRESS": "http://127.0.0.1:1"},
            "no Ray dashboard answers at http://127.0.0.1:1",
        ),
        ("pull-checkpoint", {"RUN": "mine"}, "STORAGE is empty"),
        ("pull-checkpoint", {"STORAGE": "s3://b/runs"}, "RUN is empty"),
    ],
)
def test_targets_refuse_mistakes_in_one_line(
    target: str, given: dict[str, str], start: str
) -> None:
    done = make(target, given)
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("make: ***")]
    assert line.startswith(f"error: {start}")


@pytest.mark.parametrize(
    ("token", "named"), [("", "RAY_AUTH_MODE=token"), ("x" * 64, "refuses RAY_AUTH_TOKEN")]
)
def test_targets_pass_the_token(dashboard: str, token: str, named: str) -> None:
    given = {"RUN": "mine", "CONFIG": DEMO, "ADDRESS": dashboard, "TOKEN": token}
    done = make("submit-train", given)
    assert done.returncode == 2
    assert dashboard in done.stderr
    assert named in done.stderr


@pytest.mark.parametrize(
    ("given", "received"),
    [
        ("", []),
        ("seed=1 --resume", ["seed=1", "--resume"]),
        ("tracking.wandb.project=R&D", ["tracking.wandb.project=R&D"]),
        ("a;b x=$HOME y=`id` z=$(id)", ["a;b", "x=$HOME", "y=`id`", "z=$(id)"]),
        ("a|b c>d e<f *.py", ["a|b", "c>d", "e<f", "*.py"]),
        ("'environment.margin=[0.1, 0.2]' b", ["environment.margin=[0.1, 0.2]", "b"]),
        ('"model={path: x y}"', ["model={path: x y}"]),
    ],
)
def test_no_shell_reads_the_arguments(
    given: str, received: list[str], dashboard: str, tmp_path: Path
) -> None:
    for name, line in (("python", f'exec {sys.executable} "$@"'), ("ray", "printf '%s\\n' \"$@\"")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / name).chmod(0o755)
    variables = {"RUN": "mine", "CONFIG": DEMO, "ADDRESS": dashboard, "TOKEN": TOKEN}
    done = make("submit-train", variables | {"ARGS": given}, client=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    head, _, sent = done.stdout.partition("jobs.train\n")
    assert head.startswith("job\nsubmit\n--working-dir\n.\n--runtime-env-json\n{")
    assert head.endswith("--\nexec\npython\n-m\n")
    assert sent.splitlines() == ["--config", DEMO, "name=mine", *received]


def make(
    target: str, given: dict[str, str], client: Path = Path(sys.prefix, "bin")
) -> "subprocess.CompletedProcess[str]":
    """Run a target of the Makefile, with this test's Python and no cluster in the environment."""
    variables = [f"{name}={value}" for name, value in given.items()]
    command = ["make", "--old-file=client", f"CLIENT={client}", target, *variables]
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("RAY_", "MAKE"))}
    return subprocess.run(command, cwd=ROOT, env=kept, capture_output=True, text=True, check=False)
