"""The syntax of the Makefile's commands."""

import os
import subprocess

import pytest

from tests.support.paths import ROOT

# Independent of a make that runs these tests.
OUTSIDE = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}


def make(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["make", *arguments], cwd=ROOT, capture_output=True, text=True, env=OUTSIDE
    )


TARGETS = [line.split()[0] for line in make("help").stdout.splitlines()]
GIVEN = {"REAL_IMAGES": "photographs", "STORAGE": "s3://bucket/runs", "RUN": "mine"}


@pytest.mark.parametrize("given", [{}, GIVEN], ids=["plain", "with variables"])
@pytest.mark.parametrize("target", TARGETS)
def test_a_shell_reads_every_command(target: str, given: dict[str, str]) -> None:
    made = make("--dry-run", target, *(f"{name}={value}" for name, value in given.items()))
    assert made.returncode == 0, made.stderr
    read = subprocess.run(["sh", "-n"], input=made.stdout, capture_output=True, text=True)
    assert read.returncode == 0, read.stderr
