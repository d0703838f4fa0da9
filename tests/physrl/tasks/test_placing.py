from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from physrl.environments.geometry import level_margins, margin
from physrl.tasks.placing import best_shift, resting_on, support_height
from physrl.types import Block

BLUE = Block(0.0, 0.5, 0.0, 0.0, "blue")
STEPS = st.lists(st.floats(-0.6, 0.6), min_size=1, max_size=4)
SIZES = st.lists(st.floats(0.8, 1.2), min_size=5, max_size=5)


def stack(steps: list[float], sizes: list[float]) -> tuple[Block, ...]:
    xs = np.concatenate([[0.0], np.cumsum(steps)])
    tops = np.cumsum(sizes)
    return tuple(
        Block(float(x), float(top - size / 2), 0.0, 0.1 * level, "blue", size)
        for level, (x, top, size) in enumerate(zip(xs, tops, sizes, strict=False))
    )


def test_best_place_leans_against_the_tower() -> None:
    # A block at x on top of blocks at 0 and 0.4: the margins 0.5 - (0.4 + x) / 2 of the lowest and
    # 0.5 - (0.4 - x) of the one on it are equal, 0.233, at x = 0.4 / 3.
    tower = (BLUE, Block(0.4, 1.5, 0.0, 0.0, "green"), Block(0.0, 2.5, 0.0, 0.0, "red"))
    shift, best = best_shift(tower, 2)
    assert shift == 0.13
    assert best == pytest.approx(0.235 - 0.005)


def test_a_block_between_two_stands_best_between_them() -> None:
    # Moved by x between blocks at 0 and 0.6: 0.5 - (0.6 + x) / 2 below and 0.5 - (0.6 - x) above
    # are equal at x = 0.2.
    tower = (BLUE, Block(0.0, 1.5, 0.0, 0.0, "red"), Block(0.6, 2.5, 0.0, 0.0, "green"))
    assert best_shift(tower, 1) == (0.2, pytest.approx(0.1))


@given(STEPS, SIZES, st.integers(1, 4))
def test_no_answer_stands_better(steps: list[float], sizes: list[float], index: int) -> None:
    tower = stack(steps, sizes)
    index = min(index, len(tower) - 1)

    def smallest(shift: float) -> float:
        moved = replace(tower[index], x=tower[index].x + shift)
        return float(level_margins((*tower[:index], moved, *tower[index + 1 :]))[: index + 1].min())

    shift, best = best_shift(tower, index)
    found = smallest(shift)
    assert all(smallest(other / 100) <= found + 1e-9 for other in range(-300, 301, 7))
    assert all(smallest(shift + other) <= found + 1e-9 for other in (-0.01, 0.01))
    assert best <= found + 1e-12


def test_margin_is_that_of_the_whole_stack() -> None:
    # The two upper blocks are 0.45 apart, whatever is done to the one below them.
    tower = (
        BLUE,
        Block(0.3, 1.5, 0.0, 0.0, "red"),
        Block(0.0, 2.5, 0.0, 0.0, "green"),
        Block(0.45, 3.5, 0.0, 0.0, "cyan"),
    )
    assert best_shift(tower, 1)[1] == pytest.approx(0.05)
    assert margin(tower) == pytest.approx(0.05)


def test_support_is_what_lies_below() -> None:
    tower = (BLUE, Block(0.2, 1.4, 0.0, 0.0, "green", 0.8))
    assert support_height(Block(0.2, 4.0, 0.0, 0.0, "red"), tower) == pytest.approx(1.8)
    assert support_height(Block(-0.85, 4.0, 0.0, 0.0, "red"), tower) == 1.0
    assert support_height(Block(3.0, 4.0, 0.0, 0.0, "red"), tower) == 0.0


def test_a_block_rests_on_the_upper_face() -> None:
    below = Block(0.3, 2.0, 0.0, 0.0, "green", 1.2)
    assert resting_on(Block(1.0, 0.4, 0.0, 0.0, "red", 0.8), below).y == pytest.approx(3.0)
