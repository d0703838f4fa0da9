"""What `make` would run is something that a shell can read."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HELP = subprocess.run(
    ["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True
).stdout.splitlines()
GIVEN = {"REAL_IMAGES": "photographs", "STORAGE": "s3://bucket/runs", "RUN": "mine"}


@pytest.mark.parametrize("given", [{}, GIVEN], ids=["plain", "with variables"])
@pytest.mark.parametrize("target", [line.split()[0] for line in HELP])
def test_a_shell_reads_every_command(target: str, given: dict[str, str]) -> None:
    variables = [f"{name}={value}" for name, value in given.items()]
    made = subprocess.run(
        ["make", "--dry-run", target, *variables], cwd=ROOT, capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr
    read = subprocess.run(["sh", "-n"], input=made.stdout, capture_output=True, text=True)
    assert read.returncode == 0, read.stderr
