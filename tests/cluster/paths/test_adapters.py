"""Whole path: a run with LoRA, whose adapter loads with plain PEFT."""

from collections.abc import Iterator

import pytest
import ray
from peft import PeftModel
from transformers import AutoModelForImageTextToText

from cluster.runtime.stopping import StopRequest
from cluster.training.actors import RunActors
from cluster.training.controller import Controller
from physrl.config.run import RunConfig
from physrl.metrics import read_metrics
from tests.support.paths import TINY_BASE
from tests.support.reporters import SilentReporter
from tests.support.runs import make_config


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> RunConfig:
    return make_config(
        name="adapters",
        output=str(tmp_path_factory.mktemp("runs")),
        model={"lora": {"rank": 4, "vision": True, "projector": True}},
        algorithm={"steps": 2, "prompts_per_step": 4, "group_size": 4, "lr": 1e-2, "beta": 0.01},
        checkpoint={"every": 1},
        runtime={"zero_stage": 2},
    )


@pytest.fixture(scope="module")
def actors(ray_cluster: None, config: RunConfig) -> Iterator[RunActors]:
    actors = RunActors(config)
    yield actors
    actors.stop()


def test_adapters_train_sync_and_load_with_plain_peft(actors: RunActors, config: RunConfig) -> None:
    checkpoint = Controller(config, actors, SilentReporter(), StopRequest()).train()
    rows = read_metrics(config.folder)
    assert [row["step"] for row in rows] == [1, 2]
    # Completions of step 2 come from the adapter that step 1 made: sampler and learner agree.
    assert rows[1]["sampling/sampling_logp_difference/max"] < 1e-3
    assert rows[0]["kl"] == pytest.approx(0.0, abs=1e-6)
    assert rows[1]["kl"] > 0

    base = AutoModelForImageTextToText.from_pretrained(TINY_BASE)
    model = PeftModel.from_pretrained(base, checkpoint.path / "adapter")
    loaded = {name: weight for name, weight in model.state_dict().items() if "lora_" in name}
    assert any("visual" in name for name in loaded)
    trained = ray.get(actors.learner.weights())
    for name, content in trained.items():
        assert (checkpoint.path / "adapter" / name).read_bytes() == content, name

    # Resumed from the last checkpoint, no steps are left and nothing changes.
    again = Controller(config, actors, SilentReporter(), StopRequest()).train()
    assert again.step == 2
    assert ray.get(actors.learner.weights()) == trained
