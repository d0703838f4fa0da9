from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from physrl.errors import DataError
from physrl.evaluation.results import PolicyResult, TaskResult, load_policy_result
from physrl.evaluation.statistics import Count
from tests.support.answers import make_answer, make_verdict_answer

PLACED = make_answer(17)
UNPARSEABLE = replace(
    PLACED, answer="", success=False, status="unparseable", reward=-1.0, offset=None
)
VERDICT = make_verdict_answer("001.png", verdict=True, falls=False)
RESULT = PolicyResult(
    "grpo",
    (
        TaskResult("place", "greedy", (PLACED, UNPARSEABLE, PLACED)),
        TaskResult("real", "sampled", (VERDICT,)),
    ),
)


def test_counts_of_a_task() -> None:
    place = RESULT.results[0]
    assert place.count == Count(2, 3)
    assert place.unparseable == 1


def test_a_result_is_found_by_task_and_decoding() -> None:
    assert RESULT.find("real", "sampled") is RESULT.results[1]
    assert RESULT.find("real", "greedy") is None


def test_a_result_round_trips(tmp_path: Path) -> None:
    path = tmp_path / "evaluation" / "grpo.json"
    RESULT.save(path)
    assert load_policy_result(path) == RESULT


@settings(max_examples=30)
@given(text=st.text(), reward=st.floats(allow_nan=False, allow_infinity=False))
def test_any_text_and_reward_survive(
    tmp_path_factory: pytest.TempPathFactory, text: str, reward: float
) -> None:
    path = tmp_path_factory.mktemp("result") / "a.json"
    answer = replace(PLACED, completion=text, reward=reward)
    result = PolicyResult("base", (TaskResult("place", "greedy", (answer,)),))
    result.save(path)
    assert load_policy_result(path) == result


@pytest.mark.parametrize(
    ("old", "new", "location"),
    [
        ('"real"', '"juggle"', r"results\.1\.task"),
        ('"reward": 1.25', '"reward": "much"', r"results\.0\.answers\.0\.reward"),
        ('"policy"', '"polity"', r"policy"),
        ("{", "", r"file"),
    ],
)
def test_a_damaged_file_is_named_in_one_line(
    tmp_path: Path, old: str, new: str, location: str
) -> None:
    path = tmp_path / "a.json"
    RESULT.save(path)
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(DataError, match=location) as caught:
        load_policy_result(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.json"):
        load_policy_result(tmp_path / "a.json")
