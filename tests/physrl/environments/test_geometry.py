import math

import pytest

from physrl.environments.geometry import level_margins, margin, overlaps
from physrl.types import Block


def block(x: float, y: float = 0.5, z: float = 0.0, degrees: float = 0.0) -> Block:
    return Block(x, y, z, math.radians(degrees), "blue")


def test_two_blocks() -> None:
    assert margin([block(0), block(0.3, 1.5)]) == pytest.approx(0.2)
    assert margin([block(0), block(-0.6, 1.5)]) == pytest.approx(-0.1)


def test_lone_block_is_as_stable_as_can_be() -> None:
    assert margin([block(0.7)]) == 0.5


def test_each_level_carries_all_above_it() -> None:
    # Above the lowest: (0.3 + 0.5) / 2 = 0.4; above the middle one: 0.5 - 0.3 = 0.2.
    tower = [block(0), block(0.3, 1.5), block(0.5, 2.5)]
    assert level_margins(tower) == pytest.approx([0.1, 0.3])


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
    ],
)
def test_overlap_beyond_a_twentieth(second: Block, expected: bool) -> None:
    assert overlaps(block(0), second, 0.05) is expected
    assert overlaps(second, block(0), 0.05) is expected
