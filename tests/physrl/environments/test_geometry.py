import math

import numpy as np
import pytest

from physrl.environments.geometry import centres_of_mass, level_margins, margin, overlaps
from physrl.types import Block


def block(
    x: float, y: float = 0.5, z: float = 0.0, degrees: float = 0.0, size: float = 1.0
) -> Block:
    return Block(x, y, z, math.radians(degrees), "blue", size)


MIXED = [block(0), block(0.3, 1.4, size=0.8), block(0.5, 2.4, 0.1, size=1.2)]


def test_two_blocks() -> None:
    assert margin([block(0), block(0.3, 1.5)]) == pytest.approx(0.2)
    assert margin([block(0), block(-0.6, 1.5)]) == pytest.approx(-0.1)


def test_lone_block_is_as_stable_as_can_be() -> None:
    assert margin([block(0.7)]) == 0.5
    assert margin([block(0.7, size=0.8)]) == 0.4


def test_each_level_carries_all_above_it() -> None:
    # Above the lowest: (0.3 + 0.5) / 2 = 0.4; above the middle one: 0.5 - 0.3 = 0.2.
    tower = [block(0), block(0.3, 1.5), block(0.5, 2.5)]
    assert level_margins(tower) == pytest.approx([0.1, 0.3])


def test_large_blocks_weigh_more() -> None:
    # Masses 0.512 and 1.728: x (0.512 * 0.3 + 1.728 * 0.5) / 2.24 = 0.4543 and so on.
    assert centres_of_mass(MIXED) == pytest.approx(
        np.array([[0.454286, 2.171429, 0.077143], [0.5, 2.4, 0.1]]), abs=1e-6
    )
    # 0.5 - 0.4543 on the lowest block, 0.4 - 0.2 on the small one.
    assert level_margins(MIXED) == pytest.approx([0.045714, 0.2], abs=1e-6)


def test_a_small_block_carries_less_far() -> None:
    # The large one's centre is 0.35 from the small one's: 0.4 - 0.35, where equal ones give 0.15.
    assert margin([block(0, 0.4, size=0.8), block(0.35, 1.4, size=1.2)]) == pytest.approx(0.05)


def test_lone_blocks_have_no_centre_above() -> None:
    assert centres_of_mass([block(0.7)]).shape == (0, 3)


def test_depth_counts_like_width() -> None:
    assert margin([block(0), block(0.1, 1.5, 0.45)]) == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("degrees", "expected"),
    [
        (0, 0.1),  # 0.5 - 0.4
        (45, 0.5 - 0.5 / math.sqrt(2)),  # (0.4 + 0.1) cos 45
        (-45, 0.5 - 0.5 / math.sqrt(2)),
        (30, 0.5 - (0.4 * math.sqrt(3) / 2 - 0.1 * 0.5)),  # 0.2036
        (-30, 0.5 - (0.4 * math.sqrt(3) / 2 + 0.1 * 0.5)),  # 0.1036
        (90, 0.1),
    ],
)
def test_margin_is_seen_from_the_lower_blocks_frame(degrees: float, expected: float) -> None:
    tower = [block(0, degrees=degrees), block(0.4, 1.5, 0.1, degrees=77)]
    assert margin(tower) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        (block(0.94), True),
        (block(0.96), False),
        (block(0, 0.5, -0.94), True),
        (block(0, 0.5, -0.96), False),
        (block(0, 1.44), True),
        (block(0, 1.46), False),
        # Turned by 45 degrees it reaches 0.5 + sqrt(2) / 2 = 1.207 from the centre.
        (block(1.15, degrees=45), True),
        (block(1.17, degrees=45), False),
        # Along the diagonal its flat side comes first: 1.207 / sqrt(2) = 0.854 on each axis.
        (block(0.81, 0.5, 0.81, degrees=45), True),
        (block(0.83, 0.5, 0.83, degrees=45), False),
        # A small one: 0.5 + 0.3 to the side and above.
        (block(0.74, size=0.6), True),
        (block(0.76, size=0.6), False),
        (block(0, 1.24, size=0.6), True),
        (block(0, 1.26, size=0.6), False),
        # Turned by 45 degrees: 0.5 + 0.3 * sqrt(2) = 0.924.
        (block(0.86, size=0.6, degrees=45), True),
        (block(0.88, size=0.6, degrees=45), False),
    ],
)
def test_overlap_beyond_a_twentieth(second: Block, expected: bool) -> None:
    assert overlaps(block(0), second, 0.05) is expected
    assert overlaps(second, block(0), 0.05) is expected
