"""Pinhole projection of scene points into the image."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physrl.types import Block, Camera, Pose, Vector

Floats = NDArray[np.float64]
NEAR_PLANE, FAR_PLANE = 0.5, 100.0
"""Distances from the camera between which objects are drawn, in block widths."""
TO_SCENE = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
"""Rotation of PyBullet's axes (right, away, up) to the scene's (right, up, towards the viewer)."""
CORNERS = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float64)


@dataclass(frozen=True, slots=True)
class View:
    """A camera as vectors: position, axes and focal length."""

    eye: Floats
    axes: Floats
    """Unit vectors, in rows: right, up, forward."""
    focal: float
    """Focal length as a fraction of the image width."""


def view(camera: Camera) -> View:
    """Compute the position, axes and focal length of a camera."""
    eye = np.array([camera.x, camera.height, camera.distance])
    forward = np.array([0.0, camera.look_at_height - camera.height, -camera.distance])
    forward /= np.sqrt(forward @ forward)
    _, y, z = forward
    focal = 0.5 / np.tan(np.radians(camera.fov_degrees) / 2)
    return View(eye, np.array([(1.0, 0.0, 0.0), (0.0, -z, y), (0.0, y, z)]), float(focal))


def project(camera: Camera, points: Floats) -> tuple[Floats, Floats]:
    """Project points to columns and rows, as image fractions: (0, 0) top left, (1, 1) bottom right.

    Args:
        points: N x 3, in front of the camera.
    """
    viewpoint = view(camera)
    right, up, depth = viewpoint.axes @ (np.asarray(points, np.float64) - viewpoint.eye).T
    columns = 0.5 + camera.shift_x + viewpoint.focal * right / depth
    rows = 0.5 + camera.shift_y - viewpoint.focal * up / depth
    return columns, rows


def axes(pose: Pose) -> Floats:
    """Compute the block's own axes in the scene, along width, depth and height, in rows."""
    x, y, z, w = pose.orientation
    rotation = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    own: Floats = (TO_SCENE @ rotation).T
    return own


def half_extents(pose: Pose) -> Vector:
    """Return half the edge lengths of a block along its own axes: width, depth, height."""
    width, height, depth = pose.edges
    return (width / 2, depth / 2, height / 2)


def pose_corners(pose: Pose) -> Floats:
    """Compute the eight corners of a block in any pose, 8 x 3."""
    halves = np.array(half_extents(pose))
    corners: Floats = np.array(pose.position) + halves * CORNERS @ axes(pose)
    return corners


def corners(blocks: Sequence[Block]) -> Floats:
    """Compute the corners of N upright blocks, 8N x 3."""
    points = []
    for block in blocks:
        cos, sin = np.cos(block.yaw), np.sin(block.yaw)
        own = np.array([[cos, 0.0, -sin], [0.0, 1.0, 0.0], [sin, 0.0, cos]])
        halves = np.array(block.edges) / 2
        points.append(np.array([block.x, block.y, block.z]) + halves * CORNERS @ own)
    return np.concatenate(points)


def pose_window(pose: Pose, camera: Camera) -> tuple[float, float, float, float]:
    """Compute the bounding box of a block: min and max row, min and max column, image fractions.

    A block that reaches behind the near plane gets the whole image.
    """
    points = pose_corners(pose)
    viewpoint = view(camera)
    if ((points - viewpoint.eye) @ viewpoint.axes[2]).min() < NEAR_PLANE:
        return (0.0, 1.0, 0.0, 1.0)
    columns, rows = project(camera, points)
    return (float(rows.min()), float(rows.max()), float(columns.min()), float(columns.max()))
