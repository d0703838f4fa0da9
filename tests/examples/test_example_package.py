import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from physrl.config.load import validate
from physrl.errors import ConfigError
from tests.support.paths import ROOT

pytestmark = pytest.mark.slow

PACKAGE = ROOT / "examples" / "physrl-keystone"


@pytest.fixture(scope="module")
def sheet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("preview") / "sheet.png"


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory, sheet: Path) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("installed")
    source = shutil.copytree(PACKAGE, folder / "source")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    install += ["--no-build-isolation", "--target", str(folder / "site"), str(source)]
    subprocess.run(install, check=True, cwd=folder)
    environment = os.environ | {"PYTHONPATH": f"{folder / 'site'}{os.pathsep}{ROOT}"}
    use = [sys.executable, "-m", "tests.examples.use_keystone", str(sheet)]
    done = subprocess.run(
        use, env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    printed: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return printed


def test_configurations_accept_its_names(seen: dict[str, Any]) -> None:
    found = seen["configurations"]
    assert found["round_trip"]
    for name in ("keystone", "reinforce", "success_only"):
        assert name in found["help"]
    assert found["baseline"] == ["keystone"]
    assert found["asked_of_baseline"] == ["keystone", "stability"]
    assert "reinforce" in found["trials"]
    assert "{share}" in found["achievement"]


def test_the_exact_criterion_agrees_with_the_simulator_and_labels_balance(
    seen: dict[str, Any],
) -> None:
    found = seen["scenes"]
    assert found["agree"] == 40
    pairs = zip(found["targets"][::2], found["targets"][1::2], strict=True)
    assert all(set(pair) == {"<answer>Yes</answer>", "<answer>No</answer>"} for pair in pairs)


def test_gymnasium_steps(seen: dict[str, Any]) -> None:
    found = seen["episode"]
    assert found["shapes"] == [[84, 84, 3]] * 2
    assert found["over"]
    assert (found["earned"] > 0) == found["success"]


def test_the_preview_draws_it(seen: dict[str, Any], sheet: Path) -> None:
    assert Image.open(sheet).width > 400


def test_the_reference_loop_trains_with_its_algorithm_and_reward(seen: dict[str, Any]) -> None:
    found = seen["training"]
    assert all(map(math.isfinite, found["loss"]))
    assert found["version"] == 2
    assert found["parts"] == ["success"]


def test_without_it_its_names_are_unknown() -> None:
    with pytest.raises(ConfigError, match=r"^task is 'keystone'"):
        validate({"task": "keystone"})
