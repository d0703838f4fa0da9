"""A checkpoint of every Qwen-VL family."""

from pathlib import Path

import pytest

from physrl.config.model import MODEL_TYPES
from tests.support.families import save_family


@pytest.fixture(scope="session", params=MODEL_TYPES)
def family_checkpoint(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Make a checkpoint folder of each family in turn."""
    return save_family(request.param, tmp_path_factory.mktemp(request.param))
