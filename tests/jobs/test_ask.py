"""`physrl try`: a policy of a checkpoint answers about one image."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from physrl.config.model import LoRAConfig
from tests.support.command_line import call, call_refused
from tests.support.models import save_adapter
from tests.support.paths import TINY_BASE


@pytest.fixture
def pulled(tmp_path: Path) -> Path:
    """A downloaded checkpoint of all weights, with its run's configuration."""
    folder = tmp_path / "demo" / "step-00000060"
    shutil.copytree(TINY_BASE, folder / "model")
    (tmp_path / "demo" / "config.yaml").write_text("task: place_x\nseed: 1\n")
    return folder


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "tower.png"
    pixels = np.random.default_rng(0).integers(0, 256, (84, 84, 3), dtype=np.uint8)
    PillowImage.fromarray(pixels).save(path)
    return path


def test_a_policy_answers_about_an_image(
    pulled: Path, image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = {}
    for task in ("place_x", "stability"):
        code, printed[task], errors = call(capsys, "try", pulled, "--image", image, f"task={task}")
        assert (code, errors) == (0, "")
        lines = printed[task].splitlines()
        assert "<answer>" in lines[0]
        assert [line.partition(":")[0] for line in lines[-2:]] == ["model", "answer"]
    assert printed["place_x"] != printed["stability"]


def test_an_adapter_answers_over_its_base(
    pulled: Path, image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(pulled / "model")
    save_adapter(pulled / "adapter", LoRAConfig(rank=4))
    code, printed, errors = call(capsys, "try", pulled, "--image", image, f"model.path={TINY_BASE}")
    assert (code, errors) == (0, "")
    assert "answer: " in printed


def test_mistakes_are_one_line(
    pulled: Path, image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.png").write_text("no image")
    for arguments, named in (
        ([tmp_path / "a" / "b" / "c", "--image", image], "config.yaml"),
        ([pulled, "--image", tmp_path / "nothing.png"], "nothing.png"),
        ([pulled, "--image", tmp_path / "text.png"], "text.png"),
        ([pulled, "--image", image, "model.max_prompt_tokens=16"], "model.max_prompt_tokens=16"),
        ([pulled.with_name("step-00000001"), "--image", image], "step-00000001"),
        ([pulled, "--image", image, "task=chess"], "chess"),
    ):
        assert named in call_refused(capsys, "try", *arguments)


def test_a_policy_of_own_questions_is_asked_one(
    pulled: Path, image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (pulled.parent / "config.yaml").write_text("data: {path: /data/own}\n")
    asked = ["--question", "How many red squares are there?"]
    code, printed, errors = call(capsys, "try", pulled, "--image", image, *asked)
    assert (code, errors) == (0, "")
    assert printed.startswith("How many red squares are there? Put the answer between <answer>")
    assert "--question" in call_refused(capsys, "try", pulled, "--image", image)
    own = call_refused(capsys, "try", pulled, "--image", image, *asked, "data=null", "task=place_x")
    assert "--question" in own
