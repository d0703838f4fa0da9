from dataclasses import replace

import numpy as np
import pytest

from physrl.environments.projection import corners, pose_corners, project
from physrl.environments.simulator import start_pose
from physrl.types import Block, Camera


def test_points_are_projected_through_a_pinhole() -> None:
    # Straight ahead, 90 degrees wide: a point 4 away and 2 to the right lies at 1/2 + 2/8.
    camera = Camera(x=1.0, height=2.0, distance=4.0, look_at_height=2.0, fov_degrees=90.0)
    columns, rows = project(camera, np.array([[1.0, 2.0, 0.0], [3.0, 3.0, 0.0], [1.0, 2.0, 2.0]]))
    assert columns == pytest.approx([0.5, 0.75, 0.5])
    assert rows == pytest.approx([0.5, 0.375, 0.5])
    shifted = replace(camera, shift_x=0.1, shift_y=-0.2)
    (column,), (row,) = project(shifted, np.array([[1.0, 2.0, 0.0]]))
    assert (column, row) == pytest.approx((0.6, 0.3))


def test_corners_of_a_block_equal_those_of_its_pose() -> None:
    block = Block(0.3, 1.5, -0.2, 0.4, "blue", 0.8)
    of_block, of_pose = (
        sorted(map(tuple, points.round(9)))
        for points in (corners([block]), pose_corners(start_pose(block)))
    )
    assert of_block == of_pose
