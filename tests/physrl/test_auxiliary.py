"""Auxiliary predictions along the whole path: prompts, rewards, metrics and demonstrations."""

from dataclasses import replace

import pytest

from physrl.algorithms.batch import demonstration_batch, rollout_metrics
from physrl.config.auxiliary import OutcomeConfig
from physrl.config.environment import EnvironmentConfig
from physrl.config.reward import SimulatedRewardConfig
from physrl.demonstrations import demonstrate
from physrl.environments.renderer import TinyRenderer
from physrl.environments.simulator import Simulator
from physrl.scene_source import SceneSource, prepare
from physrl.tasks import TASKS
from physrl.tasks.prediction import (
    hypothetical_action,
    motion_words,
    prediction_prompt,
    prediction_text,
    request_prediction,
    true_motion,
)
from physrl.turns import carry_out, follow_ups
from physrl.types import FirstMove, RolloutGroup, Still, Verdict
from tests.support.groups import complete, first_turn, generation

REWARD = SimulatedRewardConfig()
BEFORE = OutcomeConfig(weight=0.5)
TARGET = OutcomeConfig(mode="separate", weight=0.3)
PLAIN = SceneSource("stability", EnvironmentConfig(), 0, "train", reasoning=False)
PREDICTING = replace(PLAIN, auxiliary=BEFORE)
YES = "<answer>Yes</answer>"


class Letters:
    """A stand-in for `Collator` with a token for each letter."""

    def completion_ids(self, text: str) -> tuple[int, ...]:
        return tuple(map(ord, text))


def act(
    source: SceneSource, index: int, texts: list[str], simulator: Simulator, renderer: TinyRenderer
) -> RolloutGroup:
    return first_turn(source, index, texts, simulator, renderer, REWARD)


def falling(renderer: TinyRenderer) -> int:
    scenes, _ = prepare(PLAIN, range(2), renderer)
    return next(index for index, scene in enumerate(scenes) if scene.margin < 0)


def test_a_prediction_is_requested_and_rewarded_in_addition(
    simulator: Simulator, renderer: TinyRenderer
) -> None:
    index = falling(renderer)
    (scene,), (prompt,) = prepare(PREDICTING, [index], renderer)
    (plain,) = prepare(PLAIN, [index], renderer)[1]
    assert prompt.text == request_prediction(plain).text
    assert prompt.prompt_id == plain.prompt_id
    truth = true_motion(TASKS["stability"], scene, Verdict(True), simulator)
    assert isinstance(truth, FirstMove)
    right, wrong = prediction_text(truth), prediction_text(replace(truth, block=truth.block + 1))
    texts = [right + YES, wrong + YES, YES, right, f"<outcome>{YES}</outcome>", "<outcome>none"]
    group = act(PREDICTING, index, texts, simulator, renderer)
    parts = [rollout.reward.parts["outcome"] for rollout in group.rollouts]
    # The fourth predicts it, but nothing is let go for lack of an answer.
    assert parts == [0.5, 0, 0, 0, 0, 0]
    totals = [rollout.reward.total for rollout in group.rollouts]
    assert totals == [1.5, 1.0, 1.0, -1.5, -1.5, -1.5]
    metrics = rollout_metrics([complete(group)])
    assert metrics["outcome/accuracy"] == pytest.approx(1 / 6)
    assert metrics["rewards/outcome/mean"] == pytest.approx(0.5 / 6)
    assert metrics["task/stability/accuracy"] == pytest.approx(3 / 6)


def test_no_prediction_is_requested_or_rewarded_without_it(
    simulator: Simulator, renderer: TinyRenderer
) -> None:
    for auxiliary in (None, TARGET):
        source = replace(PLAIN, auxiliary=auxiliary)
        (prompt,) = prepare(source, [0], renderer)[1]
        assert "outcome" not in prompt.text
        # As ever, the answer counts wherever it stands.
        group = act(
            source, falling(renderer), [f"<outcome>{YES}</outcome>"] * 2, simulator, renderer
        )
        assert group.rollouts[0].last.outcome.success
        assert group.rollouts[0].last.predicted is None
        assert "outcome" not in group.rollouts[0].reward.parts
        assert "outcome/accuracy" not in rollout_metrics([complete(group)])


def test_the_last_of_several_attempts_counts(simulator: Simulator, renderer: TinyRenderer) -> None:
    source = replace(PREDICTING, task="place_closed_loop")
    texts = ["<outcome>none</outcome><answer>300 800</answer>", "no idea"]
    group = first_turn(source, 3, texts, simulator, renderer, REWARD)
    again = follow_ups(group, renderer, source)
    assert len(again) == 2
    assert all(prompt.text.count("<outcome>") == 1 for prompt in again)
    # Only the answer is repeated.
    assert again[0].turns[1].text == "<answer>300 800</answer>"
    right = "<outcome>none</outcome>" + TASKS["place"].target(group.scene)
    answers = [generation(right), generation("no idea")]
    group = carry_out(group, again, answers, REWARD, simulator, BEFORE)
    assert [rollout.reward.parts["outcome"] for rollout in group.rollouts] == [0.5, 0.0]


def test_demonstrations_predict_before_the_answer(
    simulator: Simulator, renderer: TinyRenderer
) -> None:
    plain = demonstrate(PLAIN, range(6), renderer, simulator)
    shown = demonstrate(PREDICTING, range(6), renderer, simulator)
    scenes, prompts = prepare(PREDICTING, range(6), renderer)
    assert [one.prompt.text for one in shown] == [prompt.text for prompt in prompts]
    for one, before, scene in zip(shown, plain, scenes, strict=True):
        truth = true_motion(TASKS["stability"], scene, Verdict(True), simulator)
        assert one.target == prediction_text(truth) + before.target
        assert isinstance(truth, Still) is (scene.margin > 0)
        assert one.weight == 1.0
    # What is demonstrated earns all there is to earn.
    group = act(PREDICTING, 0, [shown[0].target] * 2, simulator, renderer)
    assert group.rollouts[0].reward.total == 1.5


@pytest.mark.parametrize("name", ["stability", "stabilize", "place"])
def test_a_second_demonstration_of_each_scene(
    name: str, simulator: Simulator, renderer: TinyRenderer
) -> None:
    task, source = TASKS[name], replace(PLAIN, task=name)
    plain = demonstrate(source, range(4), renderer, simulator)
    shown = demonstrate(replace(source, auxiliary=TARGET), range(4), renderer, simulator)
    assert [one.target for one in shown[::2]] == [one.target for one in plain]
    assert [one.prompt.text for one in shown[::2]] == [one.prompt.text for one in plain]
    scenes, _ = prepare(source, range(4), renderer)
    for first, second, scene in zip(shown[::2], shown[1::2], scenes, strict=True):
        action = hypothetical_action(task, scene)
        assert second.target == prediction_text(true_motion(task, scene, action, simulator))
        assert second.prompt.text == prediction_prompt(first.prompt, task, action).text
        assert second.prompt.images[0] is first.prompt.images[0]
        assert (first.weight, second.weight) == (1.0, 0.3)
    examples = demonstration_batch(shown, Letters()).examples
    assert [each.weight for each in examples] == [1.0] * 4 + [0.3] * 4
    # Each of two updates takes every second example: both questions of two scenes.
    for part in (examples[::2], examples[1::2]):
        names = [each.prompt.prompt_id.removesuffix("#outcome") for each in part]
        assert names[:2] == names[2:]


@pytest.mark.parametrize("auxiliary", [BEFORE, TARGET])
def test_shuffled_demonstrations_predict_the_other_scene(
    auxiliary: OutcomeConfig, simulator: Simulator, renderer: TinyRenderer
) -> None:
    source = replace(PLAIN, auxiliary=auxiliary, targets="shuffled")
    shown = demonstrate(source, range(30), renderer, simulator)
    for one in shown:
        # Answer and prediction are those of one and the same scene.
        if one.target.startswith("<outcome>") and one.target.endswith("</answer>"):
            assert ("none" in one.target) is ("No" in one.target)
    scenes, _ = prepare(PLAIN, range(30), renderer)
    truths = [true_motion(TASKS["stability"], one, Verdict(True), simulator) for one in scenes]
    told = [one.target for one in shown if "<outcome>" in one.target]
    right = sum(prediction_text(t) in one for t, one in zip(truths, told, strict=True))
    assert 0 < right < 22
    assert len({motion_words(truth) for truth in truths}) > 3
