import pytest
from hypothesis import given
from hypothesis import strategies as st

from physrl.storage.retention import best_first, kept_steps, score_of


@pytest.mark.parametrize(
    ("state", "score"),
    [
        ({"score": 0.5}, 0.5),
        ({"score": 1}, 1.0),
        ({}, None),
        ({"score": None}, None),
        ({"score": float("nan")}, None),
        ({"score": float("inf")}, None),
        ({"score": True}, None),
        ({"score": "0.5"}, None),
    ],
)
def test_only_a_finite_number_is_a_score(state: dict[str, object], score: float | None) -> None:
    assert score_of(state) == score


def test_the_best_comes_first_and_of_ties_the_later() -> None:
    assert best_first({10: 0.5, 20: 0.9, 30: None, 40: 0.9, 50: -1.0}) == [40, 20, 10, 50]


def test_the_best_is_kept_besides_the_last() -> None:
    scores = {10: 0.5, 20: 0.9, 30: None, 40: 0.1, 50: 0.2}
    assert kept_steps(scores, 2, 0) == {40, 50}
    assert kept_steps(scores, 2, 1) == {20, 40, 50}
    assert kept_steps(scores, 1, 2) == {10, 20, 50}


@given(
    st.dictionaries(st.integers(0, 99), st.none() | st.floats(-1, 1)),
    st.integers(1, 5),
    st.integers(0, 5),
)
def test_never_more_than_configured_and_always_the_newest(
    scores: dict[int, float | None], last: int, best: int
) -> None:
    stay = kept_steps(scores, last, best)
    assert len(stay) <= last + best
    assert stay <= scores.keys()
    assert not scores or max(scores) in stay
