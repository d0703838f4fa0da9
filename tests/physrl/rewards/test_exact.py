"""What counts as the same answer, and the reward of it."""

from itertools import combinations

import pytest

from physrl.config.reward import ExactRewardConfig
from physrl.replies import parse_reply
from physrl.rewards.attempt import Move
from physrl.rewards.exact import is_same_answer
from physrl.rewards.score import score
from physrl.types import Outcome, Question, Reply, Unparseable

SAME = [
    ("Paris", "paris", " PARIS ", "paris."),
    ("New York", "new  york", "new\u00a0york"),
    ("1000", "1,000", "1 000", "1000.0", "+1000", "1\u202f000", "01000", "1,000.00."),
    ("-3", "\u22123", "-3.0", "\u20133"),
    ("0.5", ".5", "0.50"),
    ("Yes", "yes", "YES."),
    ("\ufb01ne", "fine"),
    ("stra\u00dfe", "STRASSE"),
]


@pytest.mark.parametrize("answers", SAME, ids=lambda answers: answers[0])
def test_spellings_of_one_answer_are_the_same(answers: tuple[str, ...]) -> None:
    for first, second in combinations(answers, 2):
        assert is_same_answer(first, second)
        assert is_same_answer(second, first)


@pytest.mark.parametrize(
    ("given", "reference"),
    [
        ("1", "2"),
        ("10", "1"),
        ("1,00", "100"),
        ("1 2", "12"),
        ("1000", "1,0000"),
        ("1e3", "1000"),
        ("Paris", "Pari"),
        ("", "0"),
        (".", "0"),
        ("+", "-"),
        ("yes", "no"),
        ("3 squares", "3"),
        ("9" * 40, "9" * 39 + "8"),
        ("0.1", "0.1000000000000000000001"),
    ],
)
def test_other_answers_are_not(given: str, reference: str) -> None:
    assert not is_same_answer(given, reference)
    assert not is_same_answer(reference, given)


def test_answers_of_different_groups_differ() -> None:
    for first, second in combinations(SAME, 2):
        assert not any(is_same_answer(one, other) for one in first for other in second)


@pytest.mark.parametrize(
    ("completion", "reward"),
    [
        ("<answer>4</answer>", 1.0),
        ("<think>3 or 4</think><answer> 4.0 </answer>", 1.0),
        ("<answer>3</answer>", 0.0),
        ("4", -0.5),
        ("<answer></answer>", -0.5),
        ("<answer>4</answer><answer>4</answer>", -0.5),
    ],
)
def test_reward_of_a_completion(completion: str, reward: float) -> None:
    action = parse_reply(completion)
    if isinstance(action, Unparseable):
        outcome = Outcome("unparseable", success=False)
    else:
        assert isinstance(action, Reply)
        outcome = Outcome("answered", success=is_same_answer(action.text, "4"))
    question = Question("train", 0, 0, "How many?", "4")
    assert score(question, [Move(action, outcome)], ExactRewardConfig()).total == reward
