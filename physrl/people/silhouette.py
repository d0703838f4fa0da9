"""The red block as a page draws it where a person drags it: corners that move with an offset.

A point that moves in the scene moves along a line in the image's homogeneous coordinates (column,
row and depth, column and row times the depth). With those of a block's corners, and of a step to
the right and one up, a page needs no camera: corner + x * right + y * up, divided by the depth.
"""

from dataclasses import dataclass

import numpy as np

from physrl.environments.palette import RED
from physrl.environments.projection import Floats, corners, view
from physrl.types import Camera, SceneSpec, Vector

DIGITS = 6


@dataclass(frozen=True, slots=True)
class Silhouette:
    """A block's corners and center in homogeneous coordinates, as shares of the image's width."""

    center: Vector
    corners: tuple[Vector, ...]
    right: Vector
    """What a move by one block width to the right adds."""
    up: Vector


def red_silhouette(scene: SceneSpec) -> Silhouette:
    """Return the silhouette of the scene's red block.

    Raises:
        StopIteration: the scene has none; tasks whose answers are offsets have one.
    """
    block = next(each for each in reversed(scene.blocks) if each.color == RED)
    points = corners([block])
    middle = np.array([block.x, block.y, block.z])
    steps = np.array([(1.0, 0.0, 0.0), (0.0, 1.0, 0.0)])
    origin = _homogeneous(scene.camera, np.zeros((1, 3)))
    right, up = _homogeneous(scene.camera, steps) - origin
    return Silhouette(
        center=_vector(_homogeneous(scene.camera, middle[None])[0]),
        corners=tuple(map(_vector, _homogeneous(scene.camera, points))),
        right=_vector(right),
        up=_vector(up),
    )


def _homogeneous(camera: Camera, points: Floats) -> Floats:
    """Project N x 3 points as `physrl.environments.projection.project`, before its division."""
    viewpoint = view(camera)
    right, up, depth = viewpoint.axes @ (points - viewpoint.eye).T
    columns = (0.5 + camera.shift_x) * depth + viewpoint.focal * right
    rows = (0.5 + camera.shift_y) * depth - viewpoint.focal * up
    return np.stack([columns, rows, depth], axis=1)


def _vector(point: Floats) -> Vector:
    x, y, z = (round(float(value), DIGITS) for value in point)
    return (x, y, z)
