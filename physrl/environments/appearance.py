"""Domain randomization of camera, light, colors and textures.

Levels: `none` varies camera and light slightly and nothing else; `photo` follows the photographs
(docs/images.md); `wild` covers any plausible look. At every level all blocks lie inside the image
and keep the color of their name.
"""

import colorsys
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from physrl.environments.palette import ALL_COLORS, PAINT, TOWER_COLORS
from physrl.environments.projection import corners, project
from physrl.types import Appearance, Block, Camera, Vector

Floats = NDArray[np.float64]
Level = Literal["none", "photo", "wild"]
Interval = tuple[float, float]

BORDER = 0.02
"""Smallest distance of blocks from the image border, as a fraction of the image."""
HELD_OUT_SLOPES: Interval = (0.65, 0.85)
"""Downward slopes of held-out cameras (height over distance); others do not exceed 0.6."""
PHOTO_GROUND = np.array([0.812, 0.778, 0.746])
"""Median color of the cloth in front of the towers in the photographs."""
HUES = {
    "red": (-0.022, 0.002),
    "orange": (0.075, 0.095),
    "yellow": (0.145, 0.170),
    "lime": (0.215, 0.240),
    "green": (0.34, 0.40),
    "teal": (0.475, 0.495),
    "cyan": (0.50, 0.53),
    "blue": (0.595, 0.635),
    "navy": (0.61, 0.64),
    "purple": (0.77, 0.81),
}
"""Hue interval of each color name, in turns. Only blue and navy overlap, which differ in value."""


def sample_view(
    rng: np.random.Generator,
    level: Level,
    blocks: Sequence[Block],
    camera: Literal["seen", "held_out"] = "seen",
    targets: Sequence[Block] = (),
) -> tuple[Camera, Appearance]:
    """Sample a camera that shows all blocks, and the scene's appearance.

    Args:
        blocks: blocks that must lie inside the image.
        camera: `held_out` looks down more steeply than any other.
        targets: positions to which a block may be moved; they must lie inside the image too.
    """
    sample_camera, sample_appearance = LEVELS[level]
    sampled = sample_camera(rng, blocks)
    if camera == "held_out":
        slope = float(rng.uniform(*HELD_OUT_SLOPES))
        sampled = replace(sampled, height=sampled.look_at_height + slope * sampled.distance)
    framed = frame(sampled, corners([*blocks, *targets]))
    return framed, sample_appearance(rng, blocks, framed)


def frame(camera: Camera, points: Floats) -> Camera:
    """Zoom out and shift a camera by as little as needed to show all points.

    Neither changes the perspective: both only select the part of the image plane that is shown.
    """
    columns, rows = project(camera, points)
    if columns.min() >= 0 and columns.max() <= 1 and rows.min() >= 0 and rows.max() <= 1:
        return camera
    extent = max(float(np.ptp(columns)), float(np.ptp(rows)))
    if extent > 1 - 2 * BORDER:
        slope = np.tan(np.radians(camera.fov_degrees) / 2) * extent / (1 - 2 * BORDER)
        camera = replace(camera, fov_degrees=float(2 * np.degrees(np.arctan(slope))))
        columns, rows = project(camera, points)
    return replace(
        camera,
        shift_x=camera.shift_x + _shift_inside(columns),
        shift_y=camera.shift_y + _shift_inside(rows),
    )


def _shift_inside(coordinates: Floats) -> float:
    """Compute the shift that moves image coordinates inside the borders."""
    return float(max(BORDER - coordinates.min(), 0.0) - max(coordinates.max() - (1 - BORDER), 0.0))


def _plain_camera(rng: np.random.Generator, blocks: Sequence[Block]) -> Camera:
    """Sample a camera 12.5 to 14.5 block widths in front of the tower, slightly above it.

    From nearer, a block's outline shows how it is turned and how deep it lies.
    """
    return Camera(
        x=float(rng.uniform(-0.27, 0.27)),
        height=float(rng.uniform(3.0, 4.6)),
        distance=float(rng.uniform(12.5, 14.5)),
        look_at_height=float(rng.uniform(1.45, 1.65)),
        fov_degrees=float(rng.uniform(25.8, 27.2)),
    )


def _plain_appearance(
    rng: np.random.Generator, blocks: Sequence[Block], camera: Camera
) -> Appearance:
    """Sample a light in front of the tower, above it, to one side."""
    light = (float(rng.uniform(-2, 2)), float(rng.uniform(3, 5)), float(rng.uniform(2, 4)))
    return Appearance(light=light)


def _photo_camera(rng: np.random.Generator, blocks: Sequence[Block]) -> Camera:
    return _sample_camera(
        rng,
        blocks,
        distance=(11.0, 18.0),
        slope=(0.17, 0.38),
        look_at=(1.8, 2.8),
        width=(0.146, 0.172),
        column=(0.32, 0.66),
        row=(0.76, 0.90),
    )


def _wild_camera(rng: np.random.Generator, blocks: Sequence[Block]) -> Camera:
    return _sample_camera(
        rng,
        blocks,
        distance=(5.5, 20.0),
        slope=(0.05, 0.6),
        look_at=(0.8, 2.8),
        width=(0.085, 0.175),
        column=(0.1, 0.9),
        row=(0.55, 0.95),
    )


def _sample_camera(
    rng: np.random.Generator,
    blocks: Sequence[Block],
    *,
    distance: Interval,
    slope: Interval,
    look_at: Interval,
    width: Interval,
    column: Interval,
    row: Interval,
) -> Camera:
    """Sample a camera.

    Args:
        distance, look_at: distance from the tower and height looked at, in block widths.
        slope: height above `look_at` over distance.
        width: width of a block in the image, as a fraction of the image.
        column, row: position of the tower's foot in the image, as fractions of the image.
    """
    sampled_distance, look_at_height = float(rng.uniform(*distance)), float(rng.uniform(*look_at))
    focal = float(rng.uniform(*width)) * sampled_distance
    camera = Camera(
        x=float(rng.uniform(-0.5, 0.5)),
        height=look_at_height + sampled_distance * float(rng.uniform(*slope)),
        distance=sampled_distance,
        look_at_height=look_at_height,
        fov_degrees=float(2 * np.degrees(np.arctan(0.5 / focal))),
    )
    foot = np.array([[blocks[0].x, 0.0, blocks[0].z + blocks[0].size / 2]])
    (foot_column,), (foot_row,) = project(camera, foot)
    return replace(
        camera,
        shift_x=float(rng.uniform(*column) - foot_column),
        shift_y=float(rng.uniform(*row) - foot_row),
    )


def _photo_appearance(
    rng: np.random.Generator, blocks: Sequence[Block], camera: Camera
) -> Appearance:
    """Sample white cloth, matte paint and one large lamp above and in front of the tower."""
    ground = PHOTO_GROUND * rng.uniform(0.95, 1.05) * rng.uniform(0.99, 1.01, 3)
    exposure = rng.uniform(0.88, 1.12)
    return Appearance(
        light=_direction(rng, elevation=(43, 72), azimuth=(-80, 80)),
        light_size=float(rng.uniform(0.25, 0.6)),
        ambient=float(rng.uniform(0.5, 0.68)),
        ground=_vector(ground),
        backdrop=_vector(ground * rng.uniform(0.72, 0.87)),
        backdrop_distance=float(rng.uniform(3.0, 5.0)),
        wrinkle=float(rng.uniform(0.04, 0.07)),
        grain=float(rng.uniform(0.05, 0.11)),
        sheen=float(rng.uniform(0.3, 0.6)),
        noise=float(rng.uniform(0.002, 0.006)),
        colors=tuple(
            (name, _vector(np.array(PAINT[name]) * exposure * rng.uniform(0.95, 1.05)))
            for name in PAINT
        ),
        texture_seed=int(rng.integers(1 << 20)),
    )


def _wild_appearance(
    rng: np.random.Generator, blocks: Sequence[Block], camera: Camera
) -> Appearance:
    """Sample any light, cloth, wall, wood and paint, and distractors."""
    return Appearance(
        light=_direction(rng, elevation=(25, 85), azimuth=(-150, 150)),
        light_size=float(rng.uniform(0.0, 0.7)),
        ambient=float(rng.uniform(0.4, 0.8)),
        ground=_surface(rng),
        backdrop=_surface(rng),
        backdrop_distance=float(rng.uniform(2.5, 25.0)),
        wrinkle=float(rng.uniform(0.0, 0.12)),
        grain=float(rng.uniform(0.0, 0.2)),
        sheen=float(rng.uniform(0.0, 0.9)),
        noise=float(rng.uniform(0.0, 0.012)),
        colors=tuple((name, _jitter_color(rng, name)) for name in ALL_COLORS),
        texture_seed=int(rng.integers(1 << 20)),
        distractors=_distractors(rng, blocks, camera),
    )


def _direction(rng: np.random.Generator, elevation: Interval, azimuth: Interval) -> Vector:
    """Sample a direction towards the light; angles in degrees, azimuth to the viewer's right."""
    up, side = np.radians(rng.uniform(*elevation)), np.radians(rng.uniform(*azimuth))
    return _vector(np.array([np.cos(up) * np.sin(side), np.sin(up), np.cos(up) * np.cos(side)]))


def _surface(rng: np.random.Generator) -> Vector:
    """Sample a pale or dull color that no block has; reds are left out."""
    hue, saturation = rng.uniform(0.08, 0.92), rng.uniform(0.0, 0.35)
    return colorsys.hsv_to_rgb(hue, saturation, rng.uniform(0.35, 0.95))


def _jitter_color(rng: np.random.Generator, name: str) -> Vector:
    """Sample a variation of a color that stays within its name."""
    hue, saturation, value = colorsys.rgb_to_hsv(*ALL_COLORS[name])
    if name in HUES:
        hue = rng.uniform(*HUES[name]) % 1.0
        saturation = min(saturation * rng.uniform(0.9, 1.15), 1.0)
    return colorsys.hsv_to_rgb(hue, saturation, min(value * rng.uniform(0.8, 1.15), 1.0))


def _distractors(
    rng: np.random.Generator, blocks: Sequence[Block], camera: Camera
) -> tuple[Block, ...]:
    """Sample up to three small blocks behind the scene, in colors that it does not have.

    None is red and none has a held-out color, because training may show these scenes.
    """
    present = {block.color for block in blocks}
    names = [name for name in TOWER_COLORS if name not in present]
    occupied = [_window(block, camera) for block in blocks]
    accepted = []
    for name in rng.permutation(names)[: rng.integers(0, 4)]:
        size = float(rng.uniform(0.3, 0.9))
        candidate = Block(
            x=float(rng.uniform(-4, 4)),
            y=size / 2,
            z=float(rng.uniform(-5.0, -2.0)),
            yaw=float(rng.uniform(0, np.pi / 2)),
            color=str(name),
            size=size,
        )
        window = _window(candidate, camera)
        if not any(_touch(window, other) for other in occupied):
            accepted.append(candidate)
            occupied.append(window)
    return tuple(accepted)


def _window(block: Block, camera: Camera) -> Floats:
    """Compute the bounding box of a block in the image: min and max (column, row), 2 x 2."""
    coordinates = np.array(project(camera, corners([block])))
    return np.stack([coordinates.min(axis=1), coordinates.max(axis=1)])


def _touch(first: Floats, second: Floats) -> bool:
    """Return whether two bounding boxes are closer than BORDER along both axes."""
    return bool((np.minimum(first[1], second[1]) + BORDER > np.maximum(first[0], second[0])).all())


def _vector(values: Floats) -> Vector:
    first, second, third = (float(value) for value in values)
    return (first, second, third)


LEVELS = {
    "none": (_plain_camera, _plain_appearance),
    "photo": (_photo_camera, _photo_appearance),
    "wild": (_wild_camera, _wild_appearance),
}
