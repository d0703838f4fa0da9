"""Micro-batches against hand-packed ones, and properties of any batch."""

from hypothesis import given
from hypothesis import strategies as st

from physrl.algorithms.packing import pack


def test_groups_stay_together_and_the_longest_come_first() -> None:
    lengths, images = [3, 4, 8, 2, 5, 5], "aabbcc"
    # b's rows are padded to 8; one row more would make 3 x 8. Then 3 x 5, and 4 x 5.
    assert pack(lengths, images, ranks=1, budget=16) == (((2, 3), (4, 5, 0), (1,)),)
    assert pack(lengths, images, ranks=1, budget=20) == (((2, 3), (4, 5, 0, 1)),)


def test_groups_are_dealt_to_ranks() -> None:
    lengths, images = [3, 4, 8, 2, 5, 5], "aabbcc"
    assert pack(lengths, images, ranks=2, budget=16) == (((2, 3), (0, 1)), ((4, 5),))


def test_a_row_longer_than_the_budget_is_alone() -> None:
    assert pack([30, 4, 4], "abc", ranks=1, budget=10) == (((0,), (1, 2)),)


def test_no_rank_is_idle_while_a_group_can_be_divided() -> None:
    packed = pack([5] * 6, [()] * 6, ranks=3, budget=100)
    assert sorted(len(rows) for (rows,) in packed) == [2, 2, 2]


@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(0, 5)), min_size=1, max_size=40),
    st.integers(1, 4),
    st.integers(1, 120),
)
def test_every_row_once_within_the_budget(
    rows: list[tuple[int, int]], ranks: int, budget: int
) -> None:
    lengths, images = [length for length, _ in rows], [key for _, key in rows]
    packed = pack(lengths, images, ranks, budget)
    flat = [row for micro_batches in packed for part in micro_batches for row in part]
    assert sorted(flat) == list(range(len(rows)))
    assert len(packed) == ranks
    for part in (part for micro_batches in packed for part in micro_batches):
        padded = len(part) * max(lengths[row] for row in part)
        assert padded <= budget or len(part) == 1
