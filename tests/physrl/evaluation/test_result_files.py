from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from physrl.errors import DataError
from physrl.evaluation.result_files import load_policy_result, save_policy_result
from physrl.evaluation.results import CellResult, PolicyResult
from physrl.evaluation.specs import Condition
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
        CellResult(Condition("place"), (PLACED, UNPARSEABLE, PLACED)),
        CellResult(Condition("stability", "real", decoding="sampled"), (VERDICT,)),
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
    path = tmp_path / "evaluation" / "grpo.parquet"
    save_policy_result(RESULT, path)
    assert load_policy_result(path) == RESULT


@settings(max_examples=30)
@given(text=st.text(), reward=st.floats(allow_nan=False, allow_infinity=False))
def test_any_text_and_reward_survive(
    tmp_path_factory: pytest.TempPathFactory, text: str, reward: float
) -> None:
    path = tmp_path_factory.mktemp("result") / "a.parquet"
    answer = replace(PLACED, completion=text, reward=reward)
    result = PolicyResult("base", (CellResult(Condition("place"), (answer,)),))
    save_policy_result(result, path)
    assert load_policy_result(path) == result


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[: len(data) // 2]])
def test_a_damaged_file_is_named_in_one_line(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "a.parquet"
    save_policy_result(RESULT, path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=r"a\.parquet") as caught:
        load_policy_result(path)
    assert "\n" not in str(caught.value)


def test_a_table_of_other_columns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"reward": [1.0]}), path)
    with pytest.raises(DataError, match="reward"):
        load_policy_result(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.parquet"):
        load_policy_result(tmp_path / "a.parquet")
