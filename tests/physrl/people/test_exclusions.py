from typing import Any

import pytest

from physrl.config.people import ExclusionConfig
from physrl.people.exclusions import DUPLICATE, HASTY, INATTENTIVE, UNFINISHED, exclude, is_passed
from physrl.people.experiment import FORMAT
from physrl.people.recordings import Session, Trial


def trial(number: int, role: str = "test", **changes: Any) -> Trial:
    row = {
        "format": FORMAT, "study": "mine", "person": "a", "role": role, "task": "stability",
        "test_set": "iid", "key": "k", "scene": f"s{number}", "answer": "Yes", "expected": None,
        "rt": 1000.0, "trial_index": number, "planned": 10,
    }  # fmt: skip
    return Trial.model_validate(row | changes)


def session(
    person: str = "a", answered: int = 10, passed: int = 4, catches: int = 4, rt: float = 1000.0
) -> Session:
    tests = [trial(number, rt=rt) for number in range(answered)]
    caught = [
        trial(100 + n, "catch", expected="Yes" if n < passed else "No") for n in range(catches)
    ]
    return Session(person, (*tests, *caught))


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (session(), None),
        (session(answered=8), None),
        (session(answered=7), UNFINISHED),
        (session(answered=0), UNFINISHED),
        (session(passed=3), None),
        (session(passed=2), INATTENTIVE),
        (session(catches=0), None),
        (session(rt=400.0), None),
        (session(rt=399.0), HASTY),
        (session(answered=3, passed=0, rt=1.0), UNFINISHED),
    ],
)
def test_rules_exclude_in_order(one: Session, reason: str | None) -> None:
    kept = exclude([one], ExclusionConfig())
    assert len(kept.sessions) == (reason is None)
    assert kept.excluded == ({} if reason is None else {reason: 1})


def test_a_persons_first_session_counts_whatever_became_of_it() -> None:
    kept = exclude([session("a"), session("b", answered=1), session("a"), session("b")],
                   ExclusionConfig())  # fmt: skip
    assert [each.person for each in kept.sessions] == ["a"]
    assert kept.excluded == {UNFINISHED: 1, DUPLICATE: 2}


def test_a_scene_answered_twice_counts_once_as_finished() -> None:
    again = Session("a", tuple(trial(number, scene="s0") for number in range(10)))
    assert exclude([again], ExclusionConfig()).excluded == {UNFINISHED: 1}


@pytest.mark.parametrize(
    ("answer", "expected", "passed"),
    [
        ("No", "No", True),
        ("Yes", "No", False),
        ("60 80", "60 80", True),
        ("90 120", "60 80", True),
        ("91 120", "60 80", False),
        ("-60", "60", False),
        ("60", "60 80", False),
        ("nan nan", "60 80", False),
        ("", "60 80", False),
        ("Yes", None, False),
    ],
)
def test_a_catch_trial_is_passed_near_its_cross(
    answer: str, expected: str | None, passed: bool
) -> None:
    assert is_passed(trial(0, "catch", answer=answer, expected=expected)) is passed
