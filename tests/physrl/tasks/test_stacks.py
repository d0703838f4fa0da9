"""Stacks of tasks with a red block: where a block may stand, and which stacks are drawn."""

import numpy as np
import pytest

from physrl.config.environment import EnvironmentConfig
from physrl.environments.sampling import place_tower
from physrl.tasks.landmarks import Guess, all_guesses, find_landmarks
from physrl.tasks.placing import best_shift
from physrl.tasks.prices import Prices, load_prices
from physrl.tasks.stacks import (
    FEWEST,
    Stacks,
    draw_count,
    draw_index,
    fair_shapes,
    kind_of,
    propose,
)

SETTINGS = EnvironmentConfig()


def stack(*x: float) -> Stacks:
    return Stacks(np.array([x]), np.zeros((1, len(x))), np.ones((1, len(x))))


def test_the_interval_of_a_top_block_by_hand() -> None:
    # Blocks at 0 and 0.4, one at x on top: (0.4 + x) / 2 <= 0.5 and x >= 0.4 - 0.5.
    low, high = stack(0.0, 0.4, 0.0).intervals(2)
    assert (low[0], high[0]) == (pytest.approx(-0.1), pytest.approx(0.6))


def test_the_interval_of_a_block_between_two_by_hand() -> None:
    # A block at x between 0 and 0.6: (0.6 + x) / 2 <= 0.5 and x >= 0.6 - 0.5.
    low, high = stack(0.0, 0.2, 0.6).intervals(1)
    assert (low[0], high[0]) == (pytest.approx(0.1), pytest.approx(0.4))


def test_no_place_is_right_below_blocks_that_fall() -> None:
    low, high = stack(0.0, 0.0, 0.0, 0.7).intervals(1)
    assert low[0] > high[0]
    assert stack(0.0, 0.0, 0.0, 0.7).best_margins(1)[0] < 0


@pytest.mark.parametrize(("num_blocks", "index"), [(3, 1), (4, 2), (5, 4), (5, 2), (6, 5)])
def test_stacks_stand_exactly_inside_the_interval(num_blocks: int, index: int) -> None:
    stacks = propose(np.random.default_rng(0), SETTINGS, num_blocks, index, 400)
    low, high = stacks.intervals(index)
    (rows,) = np.nonzero(low < high)
    some = stacks.rows(rows)
    for share, stands in ((0.02, True), (0.5, True), (0.98, True), (-0.02, False), (1.02, False)):
        places = low[rows] + share * (high - low)[rows]
        assert ((some.moved(index, places).margins() > 0) == stands).all()


@pytest.mark.parametrize(("num_blocks", "index"), [(4, 2), (5, 4)])
def test_best_margins_are_those_of_the_best_answers(num_blocks: int, index: int) -> None:
    rng = np.random.default_rng(1)
    stacks = propose(rng, SETTINGS, num_blocks, index, 60)
    margins = stacks.best_margins(index)
    for row in np.flatnonzero(margins > 0):
        blocks = place_tower(rng, SETTINGS, stacks.shape(int(row)))
        assert best_shift(blocks, index)[1] == pytest.approx(margins[row], abs=0.01)


def test_landmarks_and_guesses_by_hand() -> None:
    found = find_landmarks(np.array([0.0, 0.5, -0.3, 9.0]), np.array([1.0, 0.8, 1.2, 1.0]), 3)
    assert found["below"] == -0.3
    assert found["second_below"] == 0.5
    assert found["mean"] == pytest.approx(0.2 / 3)
    assert (found["left"], found["right"]) == (pytest.approx(-0.9), pytest.approx(0.9))
    assert (found["shared_left"], found["shared_right"]) == (pytest.approx(0.1), pytest.approx(0.3))
    assert Guess("below", "lowest", 0.25).places(found) == pytest.approx(-0.225)
    assert Guess("below", "lowest", 0.0, 0.4).places(found) == pytest.approx(0.1)
    assert "above" not in found
    assert len(set(all_guesses(found))) == len(list(all_guesses(found)))


def test_scores_are_widths_less_prices() -> None:
    stacks, guess = stack(0.0, 0.4, 0.0), Guess("below", "below", 0.0)
    assert Prices({}, 0.0).scores(*stacks.intervals(2), stacks.landmarks(2))[0] == pytest.approx(
        0.7
    )
    assert Prices({guess: 0.3}, 0.0).scores(*stacks.intervals(2), stacks.landmarks(2))[
        0
    ] == pytest.approx(0.4)


def test_counts_and_indices_are_those_in_which_guesses_can_fail() -> None:
    rng = np.random.default_rng(0)
    assert {draw_count(rng, SETTINGS) for _ in range(50)} == {FEWEST, 5}
    low = EnvironmentConfig(num_blocks=(2, 3))
    assert {draw_count(rng, low) for _ in range(20)} == {3}
    assert {draw_index(rng, 5) for _ in range(50)} == {2, 3, 4}
    assert [draw_index(rng, count) for count in (2, 3)] == [1, 2]


@pytest.mark.parametrize(("num_blocks", "index"), [(4, 2), (4, 3), (5, 2), (5, 3), (5, 4)])
def test_no_guess_is_right_often(num_blocks: int, index: int) -> None:
    drawn = propose(np.random.default_rng(7), SETTINGS, num_blocks, index, 60_000)
    prices = load_prices()[kind_of(num_blocks, index)]
    kept = drawn.rows(
        prices.scores(*drawn.intervals(index), drawn.landmarks(index)) >= prices.threshold
    )
    low, high = kept.intervals(index)
    landmarks = kept.landmarks(index)
    shares = [
        ((low < places) & (places < high)).mean()
        for places in (guess.places(landmarks) for guess in all_guesses(landmarks))
    ]
    assert len(kept.x) > 150
    assert max(shares) <= 0.45


@pytest.mark.parametrize(
    "changes",
    [{"sizes": "equal"}, {"sizes": "held_out"}, {"margin": (0.02, 0.05)}, {"largest_step": 0.3}],
    ids=str,
)
def test_other_settings_have_stacks_too(changes: dict[str, object]) -> None:
    settings = EnvironmentConfig(**changes)
    for num_blocks, index in ((4, 3), (5, 2)):
        shape = next(fair_shapes(np.random.default_rng(0), settings, num_blocks, index))
        assert len(shape.sizes) == num_blocks
