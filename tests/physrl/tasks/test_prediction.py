"""Which block moves first: by hand, by the exact criterion, in mirrors, and in words."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from physrl.config.environment import EnvironmentConfig
from physrl.environments.geometry import level_margins
from physrl.environments.simulator import Simulator
from physrl.tasks import TASKS
from physrl.tasks.answers import answer_text
from physrl.tasks.prediction import (
    LET_GO,
    OUTLINED,
    hypothetical_action,
    motion_words,
    parse_prediction,
    prediction_prompt,
    prediction_text,
    request_prediction,
    true_motion,
)
from physrl.tasks.task import make_scene
from physrl.types import (
    Action,
    Block,
    FirstMove,
    Motion,
    Offset,
    Prompt,
    SceneSpec,
    Side,
    Still,
    Turn,
    Unparseable,
    Verdict,
)

MIXED = EnvironmentConfig(num_blocks=(2, 5), sizes="mixed")
MIRRORED: dict[Side, Side] = {
    "left": "right",
    "right": "left",
    "towards": "towards",
    "away": "away",
}
LEANING = make_scene(TASKS["stabilize"], EnvironmentConfig(), 0, "test", 0)
PLACE = make_scene(TASKS["place"], EnvironmentConfig(), 0, "test", 0)
MOTIONS = st.one_of(
    st.builds(FirstMove, st.integers(1, 99), st.sampled_from(list(MIRRORED))), st.builds(Still)
)
TAGS = ["<outcome>", "</outcome>", "< / Outcome >", "<OUTCOME>", "<think>", "</think>", "<answer>"]
PIECES = st.sampled_from(
    [*TAGS, "</answer>", "2 left", "none", "Yes", "5", "<", "/", ">", "outcome", "\0", "\n", " "]
)
TEXTS = st.lists(PIECES, max_size=10).map("".join) | st.text(max_size=30)
MANY = settings(max_examples=1_000, deadline=None)


def tower(*places: tuple[float, float]) -> tuple[Block, ...]:
    """Unit cubes, one on the other, at these x and z."""
    return tuple(Block(x, level + 0.5, z, 0.0, "blue") for level, (x, z) in enumerate(places))


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ([(0, 0), (0.7, 0)], "2 right"),
        ([(0, 0), (-0.7, 0)], "2 left"),
        ([(0, 0), (0, 0.7)], "2 towards"),
        ([(0, 0), (0, -0.7)], "2 away"),
        ([(0, 0), (0.3, 0)], "none"),
        # 2 and 3 topple together about the edge of 1; 3, which is higher, is the faster.
        ([(0, 0), (0.45, 0), (0.9, 0)], "2 right"),
        # The centre of mass of 2 and 3 is 0.3 left of 1's: only 3 loses its hold.
        ([(0, 0), (0, 0), (-0.6, 0)], "3 left"),
        # Nothing is under 2: it falls straight down, beside 1 on the left.
        ([(0, 0), (-1.2, 0)], "2 left"),
    ],
)
def test_by_hand(places: list[tuple[float, float]], expected: str, simulator: Simulator) -> None:
    assert motion_words(simulator.settle(tower(*places)).motion) == expected


def test_what_the_action_does_counts(simulator: Simulator) -> None:
    stack = (*tower((0, 0)), Block(1.6, 0.5, 0.0, 0.0, "red"))
    scene = replace(PLACE, blocks=stack)

    def motion(x: float, y: float) -> Motion | None:
        return TASKS["place"].act(scene, Offset(x, y), simulator).motion

    assert motion(-1.6, 1.0) == Still()
    assert motion(-1.6, 1.4) == Still()  # it drops onto the tower and rests
    assert motion(-0.9, 1.0) == FirstMove(2, "right")
    assert motion(-2.3, 1.0) == FirstMove(2, "left")
    assert motion(-1.6, 0.3) is None  # it does not fit there


def test_no_answer_shows_nothing(simulator: Simulator) -> None:
    for task in TASKS.values():
        scene = make_scene(task, EnvironmentConfig(), 0, "test", 0)
        assert task.act(scene, Unparseable("words"), simulator).motion is None


def test_it_is_the_block_above_the_level_that_fails(simulator: Simulator) -> None:
    task, fell = TASKS["stability"], 0
    for index in range(60):
        scene = make_scene(task, EnvironmentConfig(num_blocks=(2, 5)), 0, "test", index)
        motion = true_motion(task, scene, task.ideal(scene), simulator)
        failing = [level for level, held in enumerate(level_margins(scene.blocks)) if held < 0]
        if isinstance(motion, Still):
            assert failing == []
        else:
            assert motion.block - 2 in failing
            fell += 1
    assert fell == 30


@pytest.mark.parametrize("name", ["stability", "stabilize", "place_x"])
def test_a_mirrored_scene_moves_to_the_mirrored_side(name: str, simulator: Simulator) -> None:
    task = TASKS[name]
    seen, different = set(), 0
    for index in range(30):
        scene = make_scene(task, MIXED, 5, "test", index)
        action = hypothetical_action(task, scene)
        release = task.release(scene, action)
        assert release is not None
        levels = level_margins(release.blocks)
        if min(abs(levels)) < 0.02 or sum(levels < 0) > 1 or release.drop > 0.01:
            continue  # on a knife's edge, breaking twice, or bouncing: the last digit decides
        motion = true_motion(task, scene, action, simulator)
        there = true_motion(task, mirrored(scene), mirror(action), simulator)
        expected = (
            replace(motion, side=MIRRORED[motion.side]) if isinstance(motion, FirstMove) else motion
        )
        different += there != expected
        seen.add(motion_words(motion))
    assert len(seen) > 3
    assert different <= 1  # contacts are not solved from left to right as from right to left


def mirrored(scene: SceneSpec) -> SceneSpec:
    blocks = tuple(replace(block, x=-block.x, yaw=-block.yaw) for block in scene.blocks)
    return replace(scene, blocks=blocks)


def mirror(action: Action) -> Action:
    return replace(action, x=-action.x) if isinstance(action, Offset) else action


@pytest.mark.parametrize("name", list(TASKS))
def test_what_is_tried_is_legal_and_its_end_is_open(name: str, simulator: Simulator) -> None:
    task, motions = TASKS[name], []
    for index in range(40):
        scene = make_scene(task, MIXED, 2, "train", index)
        action = hypothetical_action(task, scene)
        assert action == hypothetical_action(task, scene)
        assert task.parse(answer_text(words_of(name, action))) == action
        motions.append(true_motion(task, scene, action, simulator))
    stands = sum(isinstance(motion, Still) for motion in motions)
    if "x" in task.axes or name in ("stability", "judge"):
        assert 3 <= stands <= 30, motions


def words_of(name: str, action: Action) -> str:
    prompt = prediction_prompt(Prompt.ask("id", ""), TASKS[name], action)
    if isinstance(action, Verdict):
        what = OUTLINED if name == "judge" else LET_GO
        assert prompt.text.startswith(f"{what}: which block")
        return "Yes" if action.falls else "No"
    return prompt.text.removeprefix("The red block is moved by ").partition(":")[0]


def test_the_second_question_is_about_the_same_image() -> None:
    before = (Turn("user", "one"), Turn("assistant", "<answer>Yes</answer>"))
    asked = Prompt("id", (*before, Turn("user", "two")))
    second = prediction_prompt(asked, TASKS["place"], Offset(-1.5, 0.25))
    assert second.prompt_id == "id#outcome"
    assert second.turns[:-1] == before
    assert second.text.startswith("The red block is moved by -150 25: which block moves first")
    first = request_prediction(asked)
    assert first.turns[:-1] == before
    assert first.text.startswith("two Before the answer, say between <outcome> and </outcome>")


@given(MOTIONS)
def test_words_are_read_back(motion: Motion) -> None:
    completion = f"<think>1 left</think>{prediction_text(motion)}<answer>Yes</answer>"
    said, rest = parse_prediction(completion)
    assert said == motion
    assert TASKS["stability"].parse(rest) == Verdict(True)


@pytest.mark.parametrize("inner", ["2 left", " 2  Left. ", "block 2, left", "2;left!", "2,LEFT"])
def test_what_a_person_would_call_the_same(inner: str) -> None:
    assert parse_prediction(f"<Outcome >{inner}</ outcome>")[0] == FirstMove(2, "left")


@pytest.mark.parametrize(
    "completion",
    [
        "",
        "2 left",
        "<outcome></outcome>",
        "<outcome>2</outcome>",
        "<outcome>left</outcome>",
        "<outcome>0 left</outcome>",
        "<outcome>-2 left</outcome>",
        "<outcome>100 left</outcome>",
        "<outcome>2 up</outcome>",
        "<outcome>2 left right</outcome>",
        "<outcome>none left</outcome>",
        "<outcome>\u0662 left</outcome>",
        "<outcome>2 left</outcome><outcome>2 left</outcome>",
        "<outcome>1 left</outcome><outcome>2 left</outcome>",
        "<outcome><outcome>2 left</outcome></outcome>",
        "<outcome>2 left",
        "2 left</outcome>",
        "<think><outcome>2 left</outcome></think>",
        "<outcome>2 <think>left</think></outcome>",
        "<think><outcome>2 left</outcome>",
        "<answer>Yes</answer><outcome>2 left</outcome>",
        "<answer><outcome>2 left</outcome>Yes</answer>",
    ],
)
def test_everything_else_predicts_nothing(completion: str) -> None:
    assert isinstance(parse_prediction(completion)[0], Unparseable)


@pytest.mark.parametrize(
    ("completion", "answers"),
    [
        ("<answer>Yes</answer>", True),
        ("<outcome>what?</outcome><answer>Yes</answer>", True),
        ("<answer>Yes</answer><outcome>2 left</outcome>", True),
        ("<outcome>1 left</outcome><outcome>2 left</outcome><answer>Yes</answer>", True),
        ("<outcome><answer>No</answer></outcome><answer>Yes</answer>", True),
        ("<outcome><answer>Yes</answer></outcome>", False),
        ("<outcome>2 left<answer>Yes</answer>", False),
        ("<answer>Yes</answer></outcome>", False),
        ("<ans<outcome></outcome>wer>Yes</answer>", False),
        ("<answer>Y<outcome></outcome>es</answer>", False),
    ],
)
def test_only_an_answer_outside_counts(completion: str, answers: bool) -> None:
    _, rest = parse_prediction(completion)
    assert (TASKS["stability"].parse(rest) == Verdict(True)) is answers


@MANY
@given(TEXTS, TEXTS)
def test_any_text(text: str, other: str) -> None:
    """Nothing raises, and no answer comes out of an outcome or is changed where there is none."""
    for task in (TASKS["stability"], TASKS["place_x"]):
        _, rest = parse_prediction(text)
        task.parse(rest)
        if "outcome" not in text.lower():
            assert task.parse(rest) == task.parse(text)
        plain = text.replace("<", "").replace(">", "")
        inside = f"<outcome>{plain}<answer>5</answer><answer>Yes</answer>"
        for completion in (f"{inside}</outcome>", f"{inside}{other.replace('<', '')}"):
            _, rest = parse_prediction(completion)
            assert isinstance(task.parse(rest), Unparseable)
