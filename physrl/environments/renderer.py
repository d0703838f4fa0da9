"""Pictures by PyBullet's software renderer, antialiased by rendering larger and averaging."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from physrl.config.environment import EnvironmentConfig
from physrl.environments.palette import COLORS, FLOOR
from physrl.environments.quiet_bullet import pybullet
from physrl.errors import SceneError
from physrl.types import Appearance, Camera, Image, Pose, Vector

SUPERSAMPLING = 2
MAX_BLOCKS = 7
AWAY = (0.0, 0.0, -100.0)


class Renderer(Protocol):
    """Draws blocks wherever they are."""

    def render(
        self, poses: Sequence[Pose], camera: Camera, appearance: Appearance, size: int
    ) -> Image:
        """A picture of `size` x `size` pixels."""
        ...

    def close(self) -> None:
        """Free what it holds."""
        ...


def make_renderer(settings: EnvironmentConfig) -> Renderer:
    """The configured renderer."""
    return RENDERERS[settings.renderer]()


class TinyRenderer:
    """One PyBullet world with a floor and enough cubes, which are re-posed for each picture."""

    def __init__(self) -> None:
        self._client = pybullet.connect(pybullet.DIRECT)
        floor = self._box([40, 40, 0.5], FLOOR)
        self._place(floor, (0.0, 0.0, -0.5), (0.0, 0.0, 0.0, 1.0))
        self._cubes = [self._box([0.5, 0.5, 0.5], FLOOR) for _ in range(MAX_BLOCKS)]

    def close(self) -> None:
        pybullet.disconnect(self._client)

    def render(
        self, poses: Sequence[Pose], camera: Camera, appearance: Appearance, size: int
    ) -> Image:
        """A picture of `size` x `size` pixels, RGB.

        Raises:
            SceneError: more blocks than the renderer has cubes.
        """
        if len(poses) > MAX_BLOCKS:
            raise SceneError(f"{len(poses)} blocks: the renderer draws at most {MAX_BLOCKS}")
        for cube in self._cubes[len(poses) :]:
            self._place(cube, AWAY, (0.0, 0.0, 0.0, 1.0))
        for cube, pose in zip(self._cubes, poses, strict=False):
            x, y, z = pose.position
            self._place(cube, (x, -z, y), pose.orientation)
            pybullet.changeVisualShape(
                cube, -1, rgbaColor=[*COLORS[pose.color], 1], physicsClientId=self._client
            )
        return self._picture(camera, appearance.light, size)

    def _picture(self, camera: Camera, light: Vector, size: int) -> Image:
        large = size * SUPERSAMPLING
        view = pybullet.computeViewMatrix(
            [camera.x, -camera.distance, camera.height],
            [camera.x, 0, camera.look_at_height],
            [0, 0, 1],
        )
        projection = pybullet.computeProjectionMatrixFOV(camera.fov_degrees, 1.0, 0.5, 100)
        light_x, light_y, light_z = light
        *_, rgba, _, _ = pybullet.getCameraImage(
            large,
            large,
            view,
            projection,
            lightDirection=[light_x, -light_z, light_y],
            lightAmbientCoeff=0.55,
            lightDiffuseCoeff=0.55,
            lightSpecularCoeff=0.0,
            shadow=0,
            renderer=pybullet.ER_TINY_RENDERER,
            flags=pybullet.ER_NO_SEGMENTATION_MASK,
            physicsClientId=self._client,
        )
        pixels = np.asarray(rgba, np.uint16).reshape(size, SUPERSAMPLING, size, SUPERSAMPLING, 4)
        mean = pixels[..., :3].sum(axis=(1, 3)) / SUPERSAMPLING**2
        picture: Image = np.round(mean).astype(np.uint8)
        return picture

    def _box(self, half_extents: list[float], color: Vector) -> int:
        shape = pybullet.createVisualShape(
            pybullet.GEOM_BOX,
            halfExtents=half_extents,
            rgbaColor=[*color, 1],
            physicsClientId=self._client,
        )
        body: int = pybullet.createMultiBody(0, -1, shape, physicsClientId=self._client)
        return body

    def _place(self, body: int, position: Vector, orientation: tuple[float, ...]) -> None:
        pybullet.resetBasePositionAndOrientation(
            body, position, orientation, physicsClientId=self._client
        )


RENDERERS: dict[str, Callable[[], Renderer]] = {"tiny": TinyRenderer}
