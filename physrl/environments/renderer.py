"""Pictures: what draws them, and PyBullet's software renderer."""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from physrl.config.environment import EnvironmentConfig
from physrl.environments.palette import rgb
from physrl.environments.projection import FAREST, NEAREST, pose_window, project
from physrl.environments.quiet_bullet import pybullet
from physrl.environments.simulator import start_pose
from physrl.errors import SceneError, SimulationError
from physrl.types import Appearance, Camera, Image, Pose, Vector

SUPERSAMPLING = 2
SMALLEST_PICTURE = 16
"""Pictures of fewer pixels a side show no blocks."""
DIFFUSE = 1.1
"""Ambient and direct light together."""
RESET_AFTER = 500
"""Pictures; PyBullet keeps a little of every block that it removes."""


class Window(NamedTuple):
    """A rectangle of pixels: the first of each and the one after the last."""

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
    """Draws blocks wherever they are."""

    def render(
        self, poses: Sequence[Pose], camera: Camera, appearance: Appearance, size: int
    ) -> Image:
        """A picture of `size` x `size` pixels.

        Raises:
            SceneError: the picture is too small to show anything.
        """
        ...

    def close(self) -> None:
        """Free what it holds."""
        ...


def make_renderer(settings: EnvironmentConfig) -> Renderer:
    """The configured renderer."""
    return RENDERERS[settings.renderer]()


def check_size(size: int) -> None:
    """Refuse pictures that are too small to show anything.

    Raises:
        SceneError: the size is below SMALLEST_PICTURE.
    """
    if size < SMALLEST_PICTURE:
        raise SceneError(
            f"a picture of {size} px shows nothing: take {SMALLEST_PICTURE} px or more"
        )


class TinyRenderer:
    """Flat colours without shadows, antialiased by rendering larger and averaging.

    PyBullet draws the blocks; ground and wall are rows of one colour each, which need no drawing.
    The blocks of the last picture are removed one by one, which costs less than a reset.
    """

    def __init__(self) -> None:
        self._client = pybullet.connect(pybullet.DIRECT)
        if self._client < 0:
            raise SimulationError("PyBullet refused a connection: too many renderers are open")
        self._bodies: list[int] = []
        self._pictures = 0

    def close(self) -> None:
        pybullet.disconnect(self._client)

    def render(
        self, poses: Sequence[Pose], camera: Camera, appearance: Appearance, size: int
    ) -> Image:
        """A picture of `size` x `size` pixels, RGB.

        Raises:
            SceneError: the picture is too small to show anything.
        """
        check_size(size)
        drawn = [*poses, *(start_pose(block) for block in appearance.distractors)]
        rows = background(camera, appearance, size * SUPERSAMPLING)
        picture: Image = np.repeat(shrink(rows[:, None].repeat(SUPERSAMPLING, 1)), size, axis=1)
        window = _window(drawn, camera, size)
        if window.width > 0 and window.height > 0:
            self._clear()
            self._bodies += [self._add(pose, rgb(pose.color, appearance)) for pose in drawn]
            colors, hit = self._blocks(camera, appearance, size, window)
            behind = rows[window.top * SUPERSAMPLING : window.bottom * SUPERSAMPLING, None]
            picture[window.top : window.bottom, window.left : window.right] = shrink(
                np.where(hit[..., None], colors, behind)
            )
        return picture

    def _clear(self) -> None:
        while self._bodies:
            pybullet.removeBody(self._bodies.pop(), physicsClientId=self._client)
        if self._pictures % RESET_AFTER == 0:
            pybullet.resetSimulation(physicsClientId=self._client)
        self._pictures += 1

    def _add(self, pose: Pose, color: Vector) -> int:
        shape = pybullet.createVisualShape(
            pybullet.GEOM_BOX,
            halfExtents=[pose.size / 2] * 3,
            rgbaColor=[*color, 1],
            physicsClientId=self._client,
        )
        x, y, z = pose.position
        body: int = pybullet.createMultiBody(
            0, -1, shape, (x, -z, y), pose.orientation, physicsClientId=self._client
        )
        return body

    def _blocks(
        self, camera: Camera, appearance: Appearance, size: int, window: Window
    ) -> tuple[Image, NDArray[np.bool_]]:
        """What the window of a picture of `size` shows: colours, and which pixels are blocks."""
        view = pybullet.computeViewMatrix(
            [camera.x, -camera.distance, camera.height],
            [camera.x, 0, camera.look_at_height],
            [0, 0, 1],
        )
        projection = np.array(
            pybullet.computeProjectionMatrixFOV(camera.fov_degrees, 1.0, NEAREST, FAREST)
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
            lightDiffuseCoeff=DIFFUSE - appearance.ambient,
            lightSpecularCoeff=0.0,
            shadow=0,
            renderer=pybullet.ER_TINY_RENDERER,
            physicsClientId=self._client,
        )
        colors: Image = np.asarray(rgba, np.uint8).reshape(height, width, 4)[..., :3]
        hit: NDArray[np.bool_] = np.asarray(bodies).reshape(height, width) >= 0
        return colors, hit


def background(camera: Camera, appearance: Appearance, size: int) -> Image:
    """The colour of wall and ground in each row, size x 3, as PyBullet's shader rounds them."""
    edge = np.array([[camera.x, 0.0, -appearance.backdrop_distance]])
    _, (horizon,) = project(camera, edge)
    x, y, z = np.array(appearance.light, np.float32)
    upward = max(y / np.sqrt(x * x + y * y + z * z), 0.0)
    bright = appearance.ambient + (DIFFUSE - appearance.ambient) * upward
    ground = np.minimum(np.floor(np.floor(np.array(appearance.ground) * 255) * bright), 255)
    rows = np.empty((size, 3), np.uint8)
    first = int(np.clip(np.floor(horizon * size), 0, size))
    rows[:first] = np.floor(np.array(appearance.backdrop) * 255)
    rows[first:] = ground
    return rows


def shrink(large: Image) -> Image:
    """The mean of every SUPERSAMPLING x SUPERSAMPLING pixels, rounded, halves to even."""
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
    """The pixels that may show any of the blocks."""
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
    from physrl.environments.photo_renderer import PhotoRenderer  # its compiler takes a second

    return PhotoRenderer()


RENDERERS: dict[str, Callable[[], Renderer]] = {"tiny": TinyRenderer, "photo": _photo}
