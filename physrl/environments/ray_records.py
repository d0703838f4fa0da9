"""A scene as the ray caster takes it: plain numbers and arrays."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Texture = NDArray[np.float32]
Triple = tuple[float, float, float]
Rectangle = tuple[float, float, float, float]
"""Least x, greatest x, least z, greatest z of a piece of the ground."""


class Boxes(NamedTuple):
    """N boxes, wherever they lie."""

    centers: Floats
    axes: Floats
    """N x 3 x 3, rows: a box's own axes."""
    halves: Floats
    colors: Floats
    """N x 3, linear."""
    seeds: NDArray[np.int64]
    """What each box's wood looks like."""
    windows: Floats
    """N x 4: least and greatest row, least and greatest column that may show it, in pixels."""


class Lens(NamedTuple):
    """A pinhole camera, in pixels."""

    eye: Triple
    right: Triple
    up: Triple
    forward: Triple
    slope: float
    """How much steeper the ray of the next pixel is."""
    column: float
    row: float
    size: int


class Light(NamedTuple):
    """One round light and the light from everywhere."""

    rays: Floats
    """RAYS x 3: unit vectors to points of the light."""
    toward: Triple
    around: Floats
    """RAYS x 3: directions about the third axis, as dense as the cosine."""
    ambient: float
    shadows: Rectangle
    """What of the ground may lie in shadow."""
    nearby: Rectangle
    """What of the ground blocks may darken by standing near."""


class Cloth(NamedTuple):
    """What lies under and hangs behind the blocks."""

    tile: Texture
    texels: float
    """Of the tile, in a block width."""
    ground: Triple
    """Linear RGB where nothing is in the light's way."""
    wall: Triple
    wall_z: float
    wrinkle: float
    origin: Rectangle
    """Where the tile starts: on the ground (2), on the wall (2)."""


class Finish(NamedTuple):
    """Wood and varnish."""

    grain: float
    sheen: float


class Pixels(NamedTuple):
    """What each pixel sees; all size x size."""

    surfaces: NDArray[np.int64]
    distances: Floats
    clear: NDArray[np.bool_]
    """Nothing can stand in its light's way."""
    direct: Floats
    """Light from the lamp, by the rays that the pixel cast itself."""
    around: Floats
    """Light from around, likewise."""
