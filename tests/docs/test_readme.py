"""The README's code: loading a checkpoint with plain libraries, and asking it about an image."""

import re
from pathlib import Path

import pytest

from physrl.data.rollouts import write_rollouts
from physrl.types import Offset
from tests.support.paths import ROOT, TINY_BASE

CODE = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.S | re.M)


def test_the_readme_ends_at_an_answer() -> None:
    weights, adapter, asking = CODE
    assert all("AutoProcessor.from_pretrained" in code for code in (weights, adapter))
    assert all(part in asking for part in ("apply_chat_template", "generate", 'row["prompt"]'))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["model", "adapter"])
def test_a_checkpoint_answers_as_the_readme_asks(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from physrl.config.environment import EnvironmentConfig
    from physrl.config.model import LoRAConfig
    from physrl.environments.renderer import make_renderer
    from physrl.tasks import TASKS
    from physrl.tasks.task import make_prompt, make_scene
    from tests.support.models import save_adapter
    from tests.support.rollouts import rollout_group

    task, settings = TASKS["place_x"], EnvironmentConfig()
    scene = make_scene(task, settings, 0, "train", 0)
    prompt = make_prompt(task, scene, make_renderer(settings), 84, reasoning=False)
    group = rollout_group([Offset(0, 0)], *prompt.images)
    write_rollouts(tmp_path / "runs/demo/rollouts/step-00000001.parquet", [group], [0.0], 1)
    step = tmp_path / "runs/demo/checkpoints/step-XXXXXXXX"
    step.mkdir(parents=True)
    (step / "model").symlink_to(TINY_BASE)
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / TINY_BASE.name).symlink_to(TINY_BASE)
    save_adapter(step / "adapter", LoRAConfig(rank=4))
    monkeypatch.chdir(tmp_path)
    weights, adapter, asking = CODE
    names: dict[str, object] = {}
    exec(weights if kind == "model" else adapter, names)
    exec(asking, names)
    assert capsys.readouterr().out.strip()
