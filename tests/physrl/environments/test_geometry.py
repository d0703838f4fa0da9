import math
from dataclasses import replace

import numpy as np
import pytest

from physrl.environments.geometry import (
    carriers,
    centers_of_mass,
    level_margins,
    margin,
    overlaps,
)
from physrl.types import Block


def block(
    x: float, y: float = 0.5, z: float = 0.0, degrees: float = 0.0, size: float = 1.0
) -> Block:
    return Block(x, y, z, math.radians(degrees), "blue", size)


MIXED = [block(0), block(0.3, 1.4, size=0.8), block(0.5, 2.4, 0.1, size=1.2)]


def test_margin_of_two_blocks() -> None:
    assert margin([block(0), block(0.3, 1.5)]) == pytest.approx(0.2)
    assert margin([block(0), block(-0.6, 1.5)]) == pytest.approx(-0.1)


def test_a_single_block_has_the_largest_margin() -> None:
    assert margin([block(0.7)]) == 0.5
    assert margin([block(0.7, size=0.8)]) == 0.4


def test_each_level_supports_all_blocks_above_it() -> None:
    # Above the lowest: (0.3 + 0.5) / 2 = 0.4; above the middle one: 0.5 - 0.3 = 0.2.
    tower = [block(0), block(0.3, 1.5), block(0.5, 2.5)]
    assert level_margins(tower) == pytest.approx([0.1, 0.3])


def test_large_blocks_weigh_more() -> None:
    # Masses 0.512 and 1.728: x (0.512 * 0.3 + 1.728 * 0.5) / 2.24 = 0.4543 and so on.
    assert centers_of_mass(MIXED) == pytest.approx(
        np.array([[0.454286, 2.171429, 0.077143], [0.5, 2.4, 0.1]]), abs=1e-6
    )
    # 0.5 - 0.4543 on the lowest block, 0.4 - 0.2 on the small one.
    assert level_margins(MIXED) == pytest.approx([0.045714, 0.2], abs=1e-6)


def test_a_small_block_supports_less_overhang() -> None:
    # The large one's center is 0.35 from the small one's: 0.4 - 0.35; equal ones would give 0.15.
    assert margin([block(0, 0.4, size=0.8), block(0.35, 1.4, size=1.2)]) == pytest.approx(0.05)


def test_a_single_block_has_no_center_of_mass_above() -> None:
    assert centers_of_mass([block(0.7)]).shape == (0, 3)


def test_blocks_on_a_plank_rest_side_by_side() -> None:
    # The plank weighs 4 * 0.5 * 0.5 = 1; the blocks 1 and 0.512 on it, 1 left and 1.5 right.
    post, plank = Block(0, 0.5, 0, 0, "blue", 1.0, (0.2, 1.0)), Block(0.2, 1.25, 0, 0, "cyan", 0.5)
    plank = replace(plank, stretch=(8.0, 1.0))
    blocks = [post, plank, block(-0.8, 2.0), block(1.7, 1.9, size=0.8)]
    assert carriers(blocks) == [0, 1, 1]
    center = (0.2 - 0.8 + 0.512 * 1.7) / 2.512
    assert centers_of_mass(blocks)[0, 0] == pytest.approx(center)
    assert level_margins(blocks) == pytest.approx([0.1 - abs(center), 0.25, 0.25])
    assert margin([plank]) == 0.25


def test_a_block_on_a_block_on_a_plank_counts_for_both() -> None:
    plank = Block(0, 0.25, 0, 0, "cyan", 0.5, (8.0, 2.0))
    blocks = [plank, block(-1.0, 1.0), block(1.0, 1.0), block(1.3, 2.0)]
    assert carriers(blocks) == [0, 0, 2]
    assert level_margins(blocks) == pytest.approx([0.5, 0.5, 0.2])
    assert centers_of_mass(blocks)[:, 0] == pytest.approx([-1.0, 1.15, 1.3])


def test_a_narrow_block_supports_less_along_its_narrow_side() -> None:
    narrow = Block(0, 0.5, 0, math.pi / 2, "blue", 1.0, (0.4, 1.0))
    assert margin([narrow, block(0.1, 1.5, 0.15)]) == pytest.approx(0.05)  # 0.2 - 0.15, turned


def test_depth_offsets_count_like_sideways_offsets() -> None:
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
def test_margins_are_measured_in_the_frame_of_the_lower_block(
    degrees: float, expected: float
) -> None:
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
        # Rotated by 45 degrees it reaches 0.5 + sqrt(2) / 2 = 1.207 from the center.
        (block(1.15, degrees=45), True),
        (block(1.17, degrees=45), False),
        # Along the diagonal its flat side comes first: 1.207 / sqrt(2) = 0.854 on each axis.
        (block(0.81, 0.5, 0.81, degrees=45), True),
        (block(0.83, 0.5, 0.83, degrees=45), False),
        # A small block: 0.5 + 0.3 to the side and above.
        (block(0.74, size=0.6), True),
        (block(0.76, size=0.6), False),
        (block(0, 1.24, size=0.6), True),
        (block(0, 1.26, size=0.6), False),
        # Rotated by 45 degrees: 0.5 + 0.3 * sqrt(2) = 0.924.
        (block(0.86, size=0.6, degrees=45), True),
        (block(0.88, size=0.6, degrees=45), False),
    ],
)
def test_overlaps_beyond_the_tolerance(second: Block, expected: bool) -> None:
    assert overlaps(block(0), second, 0.05) is expected
    assert overlaps(second, block(0), 0.05) is expected


@pytest.mark.parametrize(
    ("x", "degrees", "expected"),
    [(2.4, 0, True), (2.6, 0, False), (1.1, 90, False), (0.9, 90, True)],
)
def test_planks_overlap_along_their_length(x: float, degrees: float, expected: bool) -> None:
    plank = Block(0.0, 0.5, 0.0, math.radians(degrees), "cyan", 1.0, (4.0, 1.0))
    assert overlaps(plank, block(x), 0.0) is expected
    assert overlaps(block(x), plank, 0.0) is expected
