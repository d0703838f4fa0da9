from pathlib import Path

import pytest

from jobs.checks.run import check
from physrl.config import load_config
from physrl.config.model import LoRAConfig
from physrl.errors import UserError
from tests.support.models import save_adapter, write_model_config


def test_a_good_configuration_passes_and_its_folder_exists(tmp_path: Path) -> None:
    write_model_config(tmp_path / "model", text_config={"max_position_embeddings": 280})
    config = load_config(None, [f"model.path={tmp_path}/model", f"output={tmp_path}/runs"])
    check(config)
    assert config.folder.is_dir()
    assert not any(config.folder.iterdir())


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("environment.margin=[0.499, 0.5]", r"environment\.margin"),
        ("task=place_closed_loop model.max_images=2", r"model\.max_images"),
        ("warm_start.steps=1 model.max_completion_tokens=2", r"model\.max_completion_tokens"),
        ("model.adapter={0}/adapter model.lora.rank=8", r"model\.lora\.rank=4"),
        ("storage=s3://no-such-bucket/runs", "no-such-bucket"),
    ],
)
@pytest.mark.usefixtures("bucket")
def test_every_check_is_made(override: str, named: str, tmp_path: Path) -> None:
    save_adapter(tmp_path / "adapter", LoRAConfig(rank=4))
    overrides = override.format(tmp_path).replace(", ", ",").split(" ")
    with pytest.raises(UserError, match=named):
        check(load_config(None, [f"output={tmp_path}/runs", *overrides]))
