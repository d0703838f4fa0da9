"""The outline of a place for a block, drawn into an image."""

from itertools import combinations, product

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw

from physrl.environments.palette import RED, rgb
from physrl.environments.projection import CORNERS, corners, project, view
from physrl.types import Appearance, Block, Camera, Image

SUPERSAMPLING = 4
WIDTH = 1 / 70
"""Width of a line, as a share of the image's width."""


def draw_outline(image: Image, block: Block, camera: Camera, appearance: Appearance) -> Image:
    """Return an image with the edges of an upright block in red, those that it hides left out."""
    size = image.shape[0]
    columns, rows = project(camera, corners([block]))
    points = np.stack([columns, rows], axis=1) * size * SUPERSAMPLING
    mask = PillowImage.new("L", (size * SUPERSAMPLING,) * 2)
    draw, width = ImageDraw.Draw(mask), round(size * SUPERSAMPLING * WIDTH)
    for first, second in _visible_edges(block, camera):
        draw.line([tuple(points[first].tolist()), tuple(points[second].tolist())], 255, width)
    share = np.asarray(mask.reduce(SUPERSAMPLING), np.float64)[..., None] / 255
    color = 255 * np.array(rgb(RED, appearance))
    drawn: Image = np.round(image + share * (color - image)).astype(np.uint8)
    return drawn


def _visible_edges(block: Block, camera: Camera) -> list[tuple[int, int]]:
    """List the edges of the faces that the camera sees, as pairs of corners."""
    points, eye = corners([block]), view(camera).eye
    middle, edges = points.mean(axis=0), list[tuple[int, int]]()
    for axis, side in product(range(3), (-1, 1)):
        (face,) = np.nonzero(CORNERS[:, axis] == side)
        center = points[face].mean(axis=0)
        if (eye - center) @ (center - middle) > 0:
            edges += [
                (first, second)
                for first, second in combinations(face.tolist(), 2)
                if (CORNERS[first] != CORNERS[second]).sum() == 1
            ]
    return edges
