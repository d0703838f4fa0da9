import json

import numpy as np
import pytest

from physrl.config import RunConfig
from physrl.config.algorithm import SFTConfig
from physrl.config.environment import EnvironmentConfig
from physrl.config.load import validate
from physrl.curriculum import (
    CANDIDATES,
    UNIFORM_SHARE,
    Adaptive,
    CurriculumState,
    Uniform,
    candidate_shares,
    make_curriculum,
)
from physrl.environments.geometry import margin
from physrl.errors import ConfigError
from physrl.groups import Group
from physrl.scene_source import SceneSource, draw_scene, scene_source
from physrl.types import (
    Attempt,
    Completion,
    Outcome,
    Prompt,
    Reward,
    Rollout,
    RolloutGroup,
    SceneSpec,
    Unparseable,
)
from tests.support.groups import complete

CONFIG = RunConfig(task="stability", mixture=("stability", "place_x"), curriculum="adaptive")
SOURCE = scene_source(CONFIG, "stability", "train")


def group(scene: SceneSpec, successes: list[bool], index: int = 0) -> Group:
    prompt, completion = Prompt.ask("p", ""), Completion("", (1,), (0.0,), False, 0)
    rollouts = [
        Rollout(
            (Attempt(prompt, (), completion, Unparseable(""), Outcome("settled", s)),), Reward(0)
        )
        for s in successes
    ]
    return complete(RolloutGroup(scene, prompt, tuple(rollouts)), index)


def play(source: SceneSource, steps: int, scenes: int) -> tuple[Adaptive, CurriculumState]:
    """Simulate a policy that succeeds the more often, the larger the margin is."""
    curriculum = Adaptive(source)
    state = curriculum.start()
    for step in range(steps):
        indices = range(step * scenes, (step + 1) * scenes)
        drawn = curriculum.propose(state, indices)
        groups = []
        for index in indices:
            scene = draw_scene(drawn, index)
            solved = round(8 * success(scene))
            groups.append(group(scene, [n < solved for n in range(8)], index))
        state = curriculum.observe(state, drawn, groups)
    return curriculum, state


def success(scene: SceneSpec) -> float:
    return min(max((abs(scene.margin) - 0.05) / 0.3, 0.0), 1.0)


def test_scenes_with_half_successes_are_preferred() -> None:
    wide = EnvironmentConfig(twins=False)  # twins differ too little in their margins
    source = scene_source(RunConfig(task="stability", environment=wide), "stability", "train")
    curriculum, state = play(source, steps=4, scenes=16)
    indices = range(64, 128)
    chosen = curriculum.propose(state, indices)
    away = [
        np.mean([abs(success(draw_scene(each, index)) - 0.5) for index in indices])
        for each in (chosen, source)
    ]
    assert away[0] < 0.7 * away[1]
    metrics = curriculum.measure(state, indices)
    assert 0.5 < metrics["curriculum/shift"] < np.log(CANDIDATES)
    assert metrics["curriculum/predicted_success"] == pytest.approx(0.5, abs=0.1)


def test_the_first_scenes_are_drawn_uniformly() -> None:
    curriculum = Adaptive(SOURCE)
    metrics = curriculum.measure(curriculum.start(), range(4))
    assert metrics["curriculum/shift"] == pytest.approx(0, abs=1e-12)
    assert metrics["curriculum/predicted_success"] == metrics["curriculum/uniform_success"] == 0.5
    assert metrics["curriculum/blocks_shift"] == pytest.approx(0, abs=1e-12)


def test_proposals_depend_on_the_state_and_the_scene_alone() -> None:
    curriculum, state = play(SOURCE, steps=1, scenes=8)
    again = json.loads(json.dumps(state))
    whole = curriculum.propose(state, range(16)).places
    assert Adaptive(SOURCE).propose(again, range(4, 16)).places == {
        index: place for index, place in whole.items() if index >= 4
    }


def test_every_scene_is_one_of_the_stream_and_pairs_stay_pairs() -> None:
    curriculum, state = play(SOURCE, steps=1, scenes=8)
    source = curriculum.propose(state, range(16))
    falls = []
    for index in range(0, 16, 4):
        # The two scenes of a pair are two apart in a mixture of two tasks.
        first, second = (draw_scene(source, index + step) for step in (0, 2))
        assert (first.index % 2, second.index - first.index) == (0, 1)
        assert (first.index // 2) // CANDIDATES == index // 4
        assert first == draw_scene(SOURCE, 2 * first.index)
        assert first.scene_id == source.scene_id(index)
        assert first.margin == margin(first.tower)
        falls += [first.margin < 0, second.margin < 0]
    assert np.mean(falls) == 0.5


def test_shares_follow_the_nearness_to_one_half() -> None:
    even = candidate_shares(np.full((CANDIDATES, 2), 0.9))
    assert even == pytest.approx(np.full(CANDIDATES, 1 / CANDIDATES))
    apart = np.array([[0.5, 0.5]] + [[0.0, 1.0]] * (CANDIDATES - 1))
    least = UNIFORM_SHARE / CANDIDATES
    assert candidate_shares(apart) == pytest.approx(
        [1 - (CANDIDATES - 1) * least] + [least] * (CANDIDATES - 1)
    )
    assert candidate_shares(np.zeros((CANDIDATES, 2))).sum() == pytest.approx(1)


def test_uniform_proposes_nothing() -> None:
    uniform = make_curriculum(RunConfig(), SOURCE)
    assert isinstance(uniform, Uniform)
    assert uniform.propose(uniform.start(), range(3)) is SOURCE
    assert uniform.observe({}, SOURCE, []) == {}
    assert uniform.measure({}, range(3)) == {}


def test_self_play_is_another_name_of_adaptive() -> None:
    assert validate({"curriculum": "self_play"}).curriculum == "adaptive"


def test_an_adaptive_curriculum_with_sft_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"curriculum.*adaptive"):
        validate({"curriculum": "self_play", "algorithm": SFTConfig().model_dump()})
