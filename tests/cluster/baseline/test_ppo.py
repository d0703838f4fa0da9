"""Networks without language: real RLlib on real scenes."""

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cluster.baseline.network import NetworkPolicy, make_network, save_network
from cluster.baseline.ppo import Baseline, TrainingScenes
from jobs.baseline import evaluate_baseline
from physrl.config.baseline import BaselineConfig
from physrl.data.photos import Photo
from physrl.gym_env import TowerEnv
from physrl.protocols import Sampling
from physrl.storage.checkpoints import Checkpoints
from physrl.tasks import TASKS
from physrl.types import Offset, Prompt, Verdict

GREEDY = Sampling(1, 0.0, 1, seed=0)


def configured(**changes: Any) -> BaselineConfig:
    tree = {
        "ppo": {"iterations": 2, "episodes": 16, "minibatch": 8, "epochs": 1},
        "evaluation": {"scenes": 6},
        "workers": 1,
    }
    return BaselineConfig.model_validate(tree | changes)


def image_prompts(count: int, size: int = 84) -> list[Prompt]:
    shades = np.linspace(0, 255, count).astype(np.uint8)
    images = [np.full((size, size, 3), shade) for shade in shades]
    return [Prompt.ask(f"{index}", "?", image) for index, image in enumerate(images)]


@pytest.fixture(scope="module")
def trained(ray_cluster: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train for one iteration, restore, and train for another; return the last checkpoint."""
    config, folder = configured(), tmp_path_factory.mktemp("baseline")
    checkpoints = Checkpoints(folder, 2)
    with closing(Baseline(config)) as baseline:
        assert np.isfinite(baseline.train()["reward"])
        first = checkpoints.commit(1, {}, baseline.save)
    with closing(Baseline(config, iterations_done=1)) as baseline:
        baseline.restore(first.path)
        again = folder / "again"
        baseline.save(again)
        assert network(again) == network(first.path)
        baseline.train()
        second = checkpoints.commit(2, {}, baseline.save)
    assert network(second.path) != network(first.path)
    return second.path


def network(checkpoint: Path) -> bytes:
    return (checkpoint / "policy" / "network.safetensors").read_bytes()


@pytest.mark.slow
def test_answers_can_be_parsed_by_the_task(trained: Path) -> None:
    policy = NetworkPolicy(configured(), trained)
    greedy = policy.generate(image_prompts(3), GREEDY)
    assert greedy == policy.generate(image_prompts(3), GREEDY)
    texts = [generation.completions[0].text for generation in greedy]
    actions = [TASKS["place_x"].parse(text) for text in texts]
    assert all(isinstance(action, Offset) and action.y == 0 for action in actions)
    assert len(set(texts)) > 1  # they depend on the image

    sampling = Sampling(8, 1.0, 1, seed=0)
    drawn = policy.generate(image_prompts(1), sampling)
    assert len({completion.text for completion in drawn[0].completions}) > 4
    assert drawn == policy.generate(image_prompts(1), sampling)
    other = policy.generate(image_prompts(1, size=100), GREEDY)  # such as a photograph
    assert isinstance(TASKS["place_x"].parse(other[0].completions[0].text), Offset)


@pytest.mark.slow
def test_networks_are_evaluated_like_models(trained: Path, tmp_path: Path) -> None:
    config = configured().model_copy(update={"output": tmp_path})
    measured = evaluate_baseline(config, NetworkPolicy(config, trained), "key", photos=())
    results = [each.result for each in measured]
    assert [(each.task, each.decoding) for each in results] == [
        ("place_x", "greedy"), ("place_x", "sampled")
    ]  # fmt: skip
    for each in results:
        assert [answer.scene_id for answer in each.answers] == [
            f"place_x/test/iid/0/{index}" for index in range(6)
        ]
        assert each.unparseable == 0


def test_workers_divide_the_training_scenes() -> None:
    seen = []
    for worker in range(2):
        scenes = TrainingScenes(TowerEnv("stability"), seed=3, first=10 + worker, stride=2)
        for _ in range(3):
            observation, info = scenes.reset(seed=99)  # RLlib's own
            seen.append(info["scene_id"])
            assert scenes.observation_space.contains(observation)
        *_, info = scenes.step(0)
        assert "success" in info
        scenes.close()
    assert sorted(seen) == [f"stability/train/iid/3/{index}" for index in range(10, 16)]


def test_a_verdict_network_judges_photographs(tmp_path: Path) -> None:
    config = configured(task="stability")
    save_network(make_network(config), tmp_path)
    policy = NetworkPolicy(config, tmp_path)
    rng = np.random.default_rng(0)
    photos = [
        Photo(f"{falls}.jpg", falls, None, rng.integers(0, 256, (120, 160, 3), dtype=np.uint8))
        for falls in (True, False)
    ]
    config = config.model_copy(update={"output": tmp_path})
    *_, last = evaluate_baseline(config, policy, "key", photos)
    result = last.result
    assert result.task == "real"
    verdicts = [answer.predicted_falls for answer in result.answers]
    assert None not in verdicts
    assert [answer.success for answer in result.answers] == [
        answer == photo.falls for answer, photo in zip(verdicts, photos, strict=True)
    ]
    drawn = policy.generate(image_prompts(1), Sampling(16, 1.0, 1, seed=0))[0].completions
    sampled = {TASKS["stability"].parse(completion.text) for completion in drawn}
    assert sampled == {Verdict(True), Verdict(False)}
