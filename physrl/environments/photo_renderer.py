"""Images that resemble photographs of painted wooden blocks on a cloth (docs/images.md)."""

from collections.abc import Sequence

import numpy as np

from physrl.environments.palette import rgb
from physrl.environments.projection import axes, half_extents, pose_window, view
from physrl.environments.ray_caster import LIGHT_RAYS, cast, develop
from physrl.environments.renderer import check_size
from physrl.environments.scene_arrays import (
    Boxes,
    Cloth,
    Finish,
    Floats,
    Lens,
    Light,
    Rectangle,
    Texture,
)
from physrl.environments.simulator import start_pose
from physrl.environments.textures import TEXELS, TILE_WIDTH, cloth_tile
from physrl.types import Appearance, Camera, Image, Pose, Vector

TILES = 8
OCCLUSION_REACH = 2.4
"""Distance beyond which a block no longer darkens the ground, in block widths."""
SOFTNESS = 0.14
"""Fraction of a pixel's light that the lens spreads to each neighbor along an axis."""
GAMMA = 2.2
LEVELS = 8192
"""Entries of the gamma lookup table."""


class PhotoRenderer:
    """A ray-casting renderer of boxes on a cloth; caches the cloth tiles that it has drawn."""

    def __init__(self) -> None:
        self._tiles: dict[int, Texture] = {}
        self._disc, self._hemisphere = _light_samples()
        self._screen = 255 * np.linspace(0, 1, LEVELS) ** (1 / GAMMA)

    def close(self) -> None:
        self._tiles.clear()

    def render(
        self, poses: Sequence[Pose], camera: Camera, appearance: Appearance, size: int
    ) -> Image:
        """Render an image of `size` x `size` pixels, RGB.

        Raises:
            SceneError: the image is too small.
        """
        check_size(size)
        drawn = [*poses, *(start_pose(block) for block in appearance.distractors)]
        boxes = _boxes(drawn, camera, appearance, size)
        linear = cast(
            boxes,
            _lens(camera, size),
            self._light(boxes, appearance),
            self._cloth(appearance),
            Finish(appearance.grain, appearance.sheen),
        )
        return develop(
            linear, self._screen, SOFTNESS, 255 * appearance.noise, appearance.texture_seed
        )

    def _light(self, boxes: Boxes, appearance: Appearance) -> Light:
        toward = np.array(appearance.light, np.float64)
        toward /= np.sqrt(toward @ toward)
        side = np.cross(toward, [0.0, 0.0, 1.0] if abs(toward[2]) < 0.9 else [1.0, 0.0, 0.0])
        side /= np.sqrt(side @ side)
        spread = self._disc * np.tan(appearance.light_size)
        rays = toward + spread[:, :1] * side + spread[:, 1:] * np.cross(toward, side)
        rays /= np.sqrt((rays**2).sum(axis=1, keepdims=True))
        return Light(
            rays,
            _vector(toward),
            self._hemisphere,
            appearance.ambient,
            _shadow_area(boxes, rays),
            _occlusion_area(boxes),
        )

    def _cloth(self, appearance: Appearance) -> Cloth:
        seed = appearance.texture_seed
        number = seed % TILES
        if number not in self._tiles:
            self._tiles[number] = cloth_tile(number)
        steps = np.array([seed // TILES, seed // 64, seed // 512, seed // 4096])
        origin = steps * np.array([0.61, 0.37, 0.53, 0.29]) % TILE_WIDTH
        return Cloth(
            self._tiles[number],
            TEXELS / TILE_WIDTH,
            _linear(appearance.ground),
            _linear(appearance.backdrop),
            -appearance.backdrop_distance,
            appearance.wrinkle,
            (float(origin[0]), float(origin[1]), float(origin[2]), float(origin[3])),
        )


def _boxes(poses: Sequence[Pose], camera: Camera, appearance: Appearance, size: int) -> Boxes:
    count = len(poses)
    edges = np.array([pose_window(pose, camera) for pose in poses]).reshape(count, 4)
    windows = np.clip(edges, -1, 2) * size
    return Boxes(
        np.array([pose.position for pose in poses], np.float64).reshape(count, 3),
        np.array([axes(pose) for pose in poses]).reshape(count, 3, 3),
        np.array([half_extents(pose) for pose in poses]).reshape(count, 3),
        np.array([_linear(rgb(pose.color, appearance)) for pose in poses]).reshape(count, 3),
        np.array([appearance.texture_seed * 31 + 17 * n for n in range(count)], np.int64),
        windows,
    )


def _lens(camera: Camera, size: int) -> Lens:
    viewpoint = view(camera)
    return Lens(
        _vector(viewpoint.eye),
        _vector(viewpoint.axes[0]),
        _vector(viewpoint.axes[1]),
        _vector(viewpoint.axes[2]),
        1 / (viewpoint.focal * size),
        (0.5 + camera.shift_x) * size,
        (0.5 + camera.shift_y) * size,
        size,
    )


def _shadow_area(boxes: Boxes, rays: Floats) -> Rectangle:
    """Compute the bounding rectangle of the boxes' shadows on the ground."""
    if not len(boxes.halves):
        return (0.0, 0.0, 0.0, 0.0)
    reach = np.sqrt((boxes.halves**2).sum(axis=1, keepdims=True))
    height = boxes.centers[:, 1, None] + reach
    slopes = rays / np.maximum(rays[:, 1:2], 0.05)
    feet = [(axis, boxes.centers[:, axis, None] - height * slopes[:, axis]) for axis in (0, 2)]
    x, z = (np.concatenate([boxes.centers[:, axis, None], foot], 1) for axis, foot in feet)
    return _bounds(x, z, float(reach.max()))


def _occlusion_area(boxes: Boxes) -> Rectangle:
    """Compute the bounding rectangle of the ground that nearby boxes darken."""
    if not len(boxes.halves):
        return (0.0, 0.0, 0.0, 0.0)
    return _bounds(boxes.centers[:, 0], boxes.centers[:, 2], OCCLUSION_REACH)


def _bounds(x: Floats, z: Floats, reach: float) -> Rectangle:
    return (
        float(x.min() - reach),
        float(x.max() + reach),
        float(z.min() - reach),
        float(z.max() + reach),
    )


def _linear(color: Vector) -> Vector:
    return _vector(np.array(color, np.float64) ** GAMMA)


def _vector(values: Floats) -> Vector:
    return (float(values[0]), float(values[1]), float(values[2]))


def _light_samples() -> tuple[Floats, Floats]:
    """Compute LIGHT_RAYS evenly distributed samples, from Hammersley points of the unit square.

    Returns:
        Points of the unit disc (N x 2), and cosine-weighted directions of the hemisphere (N x 3).
    """
    index = np.arange(LIGHT_RAYS)
    reversed_bits = np.zeros(LIGHT_RAYS)
    for bit in range(LIGHT_RAYS.bit_length() - 1):
        reversed_bits += ((index >> bit) & 1) / 2 ** (bit + 1)
    angle = 2 * np.pi * ((index + 0.5) / LIGHT_RAYS)
    squared_radius = reversed_bits + 0.5 / LIGHT_RAYS
    radius = np.sqrt(squared_radius)
    x, y = radius * np.cos(angle), radius * np.sin(angle)
    return np.stack([x, y], axis=1), np.stack([x, y, np.sqrt(1 - squared_radius)], axis=1)
