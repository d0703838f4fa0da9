"""The renderer protocol, and PyBullet's software renderer."""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from physrl.config.environment import EnvironmentConfig
from physrl.environments.palette import rgb
from physrl.environments.projection import (
    FAR_PLANE,
    NEAR_PLANE,
    half_extents,
    pose_window,
    project,
)
from physrl.environments.quiet_bullet import pybullet
from physrl.environments.simulator import start_pose
from physrl.errors import SceneError, SimulationError
from physrl.types import Appearance, Camera, Image, Pose, Vector

SUPERSAMPLING = 2
MIN_IMAGE_SIZE = 16
"""Smallest image width and height, in pixels; smaller images show no blocks."""
TOTAL_LIGHT = 1.1
"""Sum of ambient and diffuse light."""
RESET_AFTER = 500
"""Images between resets of PyBullet, which leaks some memory for each block it removes."""


class Window(NamedTuple):
    """A rectangle of pixels; `bottom` and `right` are exclusive."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top


class Renderer(Protocol):
    """A renderer of blocks in any pose."""

    def render(
        self, poses: Sequence[Pose], camera: Camera, appearance: Appearance, size: int
    ) -> Image:
        """Render an image of `size` x `size` pixels, RGB.

        Raises:
            SceneError: the image is too small.
        """
        ...

    def close(self) -> None:
        """Free all resources."""
        ...


def make_renderer(settings: EnvironmentConfig) -> Renderer:
    """Make the configured renderer."""
    return RENDERERS[settings.renderer]()


def check_size(size: int) -> None:
    """Check that an image is large enough to show a scene.

    Raises:
        SceneError: the size is below MIN_IMAGE_SIZE.
    """
    if size < MIN_IMAGE_SIZE:
        raise SceneError(f"image size is {size} px: use {MIN_IMAGE_SIZE} px or more")


class TinyRenderer:
    """PyBullet's software renderer: flat colors without shadows, antialiased by supersampling.

    PyBullet draws the blocks only; each row of ground and wall has one color and is filled in.
    Blocks of the last image are removed one by one, which costs less than a reset.
    """

    def __init__(self) -> None:
        self._client = pybullet.connect(pybullet.DIRECT)
        if self._client < 0:
            raise SimulationError("PyBullet refused a connection: too many renderers are open")
        self._bodies: list[int] = []
        self._images = 0

    def close(self) -> None:
        pybullet.disconnect(self._client)

    def render(
        self, poses: Sequence[Pose], camera: Camera, appearance: Appearance, size: int
    ) -> Image:
        """Render an image of `size` x `size` pixels, RGB.

        Raises:
            SceneError: the image is too small.
        """
        check_size(size)
        drawn = [*poses, *(start_pose(block) for block in appearance.distractors)]
        rows = background(camera, appearance, size * SUPERSAMPLING)
        image: Image = np.repeat(downsample(rows[:, None].repeat(SUPERSAMPLING, 1)), size, axis=1)
        window = _window(drawn, camera, size)
        if window.width > 0 and window.height > 0:
            self._clear()
            self._bodies += [self._add(pose, rgb(pose.color, appearance)) for pose in drawn]
            colors, mask = self._render_blocks(camera, appearance, size, window)
            behind = rows[window.top * SUPERSAMPLING : window.bottom * SUPERSAMPLING, None]
            image[window.top : window.bottom, window.left : window.right] = downsample(
                np.where(mask[..., None], colors, behind)
            )
        return image

    def _clear(self) -> None:
        while self._bodies:
            pybullet.removeBody(self._bodies.pop(), physicsClientId=self._client)
        if self._images % RESET_AFTER == 0:
            pybullet.resetSimulation(physicsClientId=self._client)
        self._images += 1

    def _add(self, pose: Pose, color: Vector) -> int:
        shape = pybullet.createVisualShape(
            pybullet.GEOM_BOX,
            halfExtents=half_extents(pose),
            rgbaColor=[*color, 1],
            physicsClientId=self._client,
        )
        x, y, z = pose.position
        body: int = pybullet.createMultiBody(
            0, -1, shape, (x, -z, y), pose.orientation, physicsClientId=self._client
        )
        return body

    def _render_blocks(
        self, camera: Camera, appearance: Appearance, size: int, window: Window
    ) -> tuple[Image, NDArray[np.bool_]]:
        """Render a window of an image of `size`; return its colors and a mask of the blocks."""
        view = pybullet.computeViewMatrix(
            [camera.x, -camera.distance, camera.height],
            [camera.x, 0, camera.look_at_height],
            [0, 0, 1],
        )
        projection = np.array(
            pybullet.computeProjectionMatrixFOV(camera.fov_degrees, 1.0, NEAR_PLANE, FAR_PLANE)
        ).reshape(4, 4)
        projection[2, :2] += -2 * camera.shift_x, 2 * camera.shift_y
        scale = np.array([size / window.width, size / window.height])
        middle = np.array([window.left + window.right, size * 2 - window.top - window.bottom])
        projection[:, :2] *= scale
        projection[2, :2] += scale * (middle / size - 1)
        width, height = window.width * SUPERSAMPLING, window.height * SUPERSAMPLING
        x, y, z = appearance.light
        *_, rgba, _, bodies = pybullet.getCameraImage(
            width,
            height,
            view,
            projection.ravel().tolist(),
            lightDirection=[x, -z, y],
            lightAmbientCoeff=appearance.ambient,
            lightDiffuseCoeff=TOTAL_LIGHT - appearance.ambient,
            lightSpecularCoeff=0.0,
            shadow=0,
            renderer=pybullet.ER_TINY_RENDERER,
            physicsClientId=self._client,
        )
        colors: Image = np.asarray(rgba, np.uint8).reshape(height, width, 4)[..., :3]
        mask: NDArray[np.bool_] = np.asarray(bodies).reshape(height, width) >= 0
        return colors, mask


def background(camera: Camera, appearance: Appearance, size: int) -> Image:
    """Compute the color of wall or ground in each row, size x 3, rounded like PyBullet's shader."""
    edge = np.array([[camera.x, 0.0, -appearance.backdrop_distance]])
    _, (horizon,) = project(camera, edge)
    x, y, z = np.array(appearance.light, np.float32)
    upward = max(y / np.sqrt(x * x + y * y + z * z), 0.0)
    brightness = appearance.ambient + (TOTAL_LIGHT - appearance.ambient) * upward
    ground = np.minimum(np.floor(np.floor(np.array(appearance.ground) * 255) * brightness), 255)
    rows = np.empty((size, 3), np.uint8)
    first = int(np.clip(np.floor(horizon * size), 0, size))
    rows[:first] = np.floor(np.array(appearance.backdrop) * 255)
    rows[first:] = ground
    return rows


def downsample(large: Image) -> Image:
    """Average each SUPERSAMPLING x SUPERSAMPLING pixels and round, halves to even."""
    wide = large.astype(np.uint16)
    total = reduce(
        np.add,
        (
            wide[i::SUPERSAMPLING, j::SUPERSAMPLING]
            for i in range(SUPERSAMPLING)
            for j in range(SUPERSAMPLING)
        ),
    )
    odd = total // SUPERSAMPLING**2 % 2
    small: Image = ((total + SUPERSAMPLING**2 // 2 - 1 + odd) // SUPERSAMPLING**2).astype(np.uint8)
    return small


def _window(poses: Sequence[Pose], camera: Camera, size: int) -> Window:
    """Compute the bounding box of all blocks, in pixels."""
    edges = np.array([pose_window(pose, camera) for pose in poses]).reshape(-1, 4)
    top, bottom, left, right = (
        np.clip(
            [
                edges[:, 0].min(initial=1),
                edges[:, 1].max(initial=0),
                edges[:, 2].min(initial=1),
                edges[:, 3].max(initial=0),
            ],
            0,
            1,
        )
        * size
    )
    return Window(int(top), int(np.ceil(bottom)), int(left), int(np.ceil(right)))


def _photo() -> Renderer:
    from physrl.environments.photo_renderer import PhotoRenderer  # importing Numba takes a second

    return PhotoRenderer()


RENDERERS: dict[str, Callable[[], Renderer]] = {"tiny": TinyRenderer, "photo": _photo}
