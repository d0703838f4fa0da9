import json

import numpy as np
import pytest

from physrl.config import RunConfig
from physrl.config.algorithm import SFTConfig
from physrl.config.load import validate
from physrl.curriculum import (
    SelfPlay,
    Uniform,
    arm_shares,
    find_arms,
    learnability,
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

CONFIG = RunConfig(task="stability", mixture=("stability", "place_x"), curriculum="self_play")
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


def play(edge: int, steps: int) -> tuple[SelfPlay, dict[str, dict[str, list[float]]]]:
    """Simulate a policy that always succeeds below `edge` blocks, never above, at it by half."""
    curriculum = SelfPlay(SOURCE)
    state = curriculum.start()
    for step in range(steps):
        indices = range(step * 16, step * 16 + 16)
        source = curriculum.propose(state, indices)
        groups = []
        for index in indices:
            scene = draw_scene(source, index)
            blocks = len(scene.blocks)
            outcomes = [blocks < edge or (blocks == edge and n % 2 == 0) for n in range(8)]
            groups.append(group(scene, outcomes, index))
        state = curriculum.observe(state, source, groups)
    return curriculum, state


def test_proposals_move_to_scenes_with_half_successes() -> None:
    curriculum, state = play(edge=3, steps=8)
    for task in ("stability", "place_x"):
        arms = find_arms(task, CONFIG.environment, CONFIG.seed)
        shares = arm_shares(**state[task])
        at_edge = sum(s for arm, s in zip(arms, shares, strict=True) if arm.num_blocks == (3, 3))
        assert at_edge > 0.6
        assert min(shares) > 0
    proposed = curriculum.propose(state, range(1000, 1200)).proposals
    assert np.mean([arm.num_blocks == (3, 3) for arm in proposed.values()]) > 0.6


def test_proposals_depend_on_the_state_and_the_scene_alone() -> None:
    curriculum, state = play(edge=2, steps=2)
    again = json.loads(json.dumps(state))
    whole = curriculum.propose(state, range(40)).proposals
    assert SelfPlay(SOURCE).propose(again, range(12, 40)).proposals == {
        index: arm for index, arm in whole.items() if index >= 12
    }
    # The two scenes of a pair, two apart in a mixture of two, are of one arm.
    assert all(whole[i] == whole[i + 2] for i in range(0, 40, 4))
    assert len(set(map(repr, whole.values()))) > 3


def test_every_proposal_is_within_the_settings_and_its_label_true() -> None:
    curriculum = SelfPlay(SOURCE)
    source = curriculum.propose(curriculum.start(), range(48))
    low, high = CONFIG.environment.margin
    falls = []
    for index, arm in source.proposals.items():
        scene = draw_scene(source, index)
        assert len(scene.blocks) == arm.num_blocks[0]
        assert scene.margin == margin(scene.tower)
        if scene.task == "stability":
            assert low - 1e-9 <= abs(scene.margin) <= high
            assert arm.margin[0] - 1e-9 <= abs(scene.margin) <= arm.margin[1] + 1e-9
            falls.append(scene.margin < 0)
    assert np.mean(falls) == 0.5


def test_infeasible_proposals_fall_back_to_the_configured_settings() -> None:
    impossible = CONFIG.environment.model_copy(update={"num_blocks": (2, 2), "margin": (0.4, 0.45)})
    plain = SceneSource("stability", CONFIG.environment, 0, "train", reasoning=False)
    proposed = SceneSource(
        "stability", CONFIG.environment, 0, "train", reasoning=False, proposals={0: impossible}
    )
    assert draw_scene(proposed, 0) == draw_scene(plain, 0)


@pytest.mark.parametrize(("successes", "worth"), [(4, 1.0), (0, 0.0), (8, 0.0), (2, 0.75)])
def test_learnability_is_highest_at_one_half(successes: int, worth: float) -> None:
    scene = draw_scene(SOURCE, 0)
    assert learnability(group(scene, [n < successes for n in range(8)])) == worth


def test_uniform_proposes_nothing() -> None:
    uniform = make_curriculum(RunConfig(), SOURCE)
    assert isinstance(uniform, Uniform)
    assert uniform.propose(uniform.start(), range(3)) is SOURCE
    assert uniform.observe({}, SOURCE, []) == {}


def test_self_play_with_sft_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"curriculum.*self_play"):
        validate({"curriculum": "self_play", "algorithm": SFTConfig().model_dump()})
