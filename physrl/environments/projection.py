"""Where points of the scene lie in the picture."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physrl.types import Block, Camera, Pose

Floats = NDArray[np.float64]
NEAREST, FAREST = 0.5, 100.0
"""Only what lies between these distances from the camera is drawn, in block widths."""
TO_SCENE = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
"""From PyBullet's axes (right, away, up) to the scene's (right, up, towards the viewer)."""
CORNERS = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float64)


@dataclass(frozen=True, slots=True)
class View:
    """A camera as numbers: where the eye is and how it looks."""

    eye: Floats
    axes: Floats
    """Rows: right, up, forward; unit vectors."""
    focal: float
    """Focal length as a share of the picture's width."""


def view(camera: Camera) -> View:
    """The camera's eye, axes and focal length."""
    eye = np.array([camera.x, camera.height, camera.distance])
    forward = np.array([0.0, camera.look_at_height - camera.height, -camera.distance])
    forward /= np.sqrt(forward @ forward)
    _, y, z = forward
    focal = 0.5 / np.tan(np.radians(camera.fov_degrees) / 2)
    return View(eye, np.array([(1.0, 0.0, 0.0), (0.0, -z, y), (0.0, y, z)]), float(focal))


def project(camera: Camera, points: Floats) -> tuple[Floats, Floats]:
    """Columns and rows of points, as shares of the picture: (0, 0) top left, (1, 1) bottom right.

    Args:
        points: N x 3, in front of the camera.
    """
    seen = view(camera)
    right, up, depth = seen.axes @ (np.asarray(points, np.float64) - seen.eye).T
    columns = 0.5 + camera.shift_x + seen.focal * right / depth
    rows = 0.5 + camera.shift_y - seen.focal * up / depth
    return columns, rows


def axes(pose: Pose) -> Floats:
    """Rows: the block's own axes in the scene, unit vectors."""
    x, y, z, w = pose.orientation
    turn = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    own: Floats = (TO_SCENE @ turn).T
    return own


def pose_corners(pose: Pose) -> Floats:
    """The eight corners of a block wherever it lies, 8 x 3."""
    corners: Floats = np.array(pose.position) + pose.size / 2 * CORNERS @ axes(pose)
    return corners


def corners(blocks: Sequence[Block]) -> Floats:
    """The corners of upright blocks, 8N x 3."""
    turned = []
    for block in blocks:
        cos, sin = np.cos(block.yaw), np.sin(block.yaw)
        own = np.array([[cos, 0.0, -sin], [0.0, 1.0, 0.0], [sin, 0.0, cos]])
        turned.append(np.array([block.x, block.y, block.z]) + block.size / 2 * CORNERS @ own)
    return np.concatenate(turned)


def pose_window(pose: Pose, camera: Camera) -> tuple[float, float, float, float]:
    """Least and greatest row, least and greatest column of a block, as shares of the picture.

    A block that reaches behind the camera may be anywhere: the whole picture.
    """
    points = pose_corners(pose)
    seen = view(camera)
    if ((points - seen.eye) @ seen.axes[2]).min() < NEAREST:
        return (0.0, 1.0, 0.0, 1.0)
    columns, rows = project(camera, points)
    return (float(rows.min()), float(rows.max()), float(columns.min()), float(columns.max()))
