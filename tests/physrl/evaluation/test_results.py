from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from physrl.errors import DataError
from physrl.evaluation.results import Answered, PolicyResult, TaskResult, load_policy_result
from physrl.evaluation.statistics import Count

PLACED = Answered(
    scene_id="place/test/iid/0/17",
    completion="<answer>150 200</answer>",
    answer="150 200",
    ideal="145 200",
    success=True,
    status="settled",
    reward=1.25,
    offset=(1.5, 2.0),
    ideal_offset=(1.45, 2.0),
    said_falls=None,
    falls=None,
)
MUTE = replace(PLACED, answer="", success=False, status="unparseable", reward=-1.0, offset=None)
JUDGED = replace(
    PLACED, answer="Yes", ideal="No", success=False, offset=None, ideal_offset=None,
    said_falls=True, falls=False,
)  # fmt: skip
RESULT = PolicyResult(
    "grpo",
    (
        TaskResult("place", "greedy", (PLACED, MUTE, PLACED)),
        TaskResult("real", "sampled", (JUDGED,)),
    ),
)


def test_counts() -> None:
    place = RESULT.results[0]
    assert place.count == Count(2, 3)
    assert place.unparseable == 1


def test_find() -> None:
    assert RESULT.find("real", "sampled") is RESULT.results[1]
    assert RESULT.find("real", "greedy") is None


def test_round_trip(tmp_path: Path) -> None:
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
    ("old", "new", "complaint"),
    [
        ('"real"', '"juggle"', r"results\.1\.task"),
        ('"reward": 1.25', '"reward": "much"', r"results\.0\.answers\.0\.reward"),
        ('"policy"', '"polity"', "policy: Field required"),
        ("{", "", "damaged: file: Invalid JSON"),
    ],
)
def test_damaged_file_is_named_in_one_line(
    tmp_path: Path, old: str, new: str, complaint: str
) -> None:
    path = tmp_path / "a.json"
    RESULT.save(path)
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(DataError, match=complaint) as caught:
        load_policy_result(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.json cannot be read: No such file"):
        load_policy_result(tmp_path / "a.json")
