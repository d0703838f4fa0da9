import numpy as np
import pytest

from physrl.environments.renderer import MAX_BLOCKS, TinyRenderer
from physrl.environments.simulator import start_pose
from physrl.errors import SceneError
from physrl.types import Appearance, Block, Camera, Image

CAMERA = Camera(x=0.0, height=3.0, distance=7.5, look_at_height=1.5, fov_degrees=46.0)
APPEARANCE = Appearance(light=(0.0, 4.0, 3.0))


def draw(renderer: TinyRenderer, *blocks: Block, size: int = 84) -> Image:
    return renderer.render([start_pose(block) for block in blocks], CAMERA, APPEARANCE, size)


def reddish(image: Image) -> np.ndarray:
    red, green, blue = np.moveaxis(image.astype(int), 2, 0)
    return (red > 100) & (red > 2 * green) & (red > 2 * blue)


@pytest.mark.parametrize("size", [84, 112])
def test_shape_and_type(renderer: TinyRenderer, size: int) -> None:
    image = draw(renderer, Block(0, 0.5, 0, 0, "red"), size=size)
    assert image.shape == (size, size, 3)
    assert image.dtype == np.uint8


def test_a_block_stands_where_the_pinhole_says(renderer: TinyRenderer) -> None:
    # 42 + 1.5 * 42 / (7.5 * tan 23 degrees) = 61.8; mirrored: 22.2.
    for x, column in ((1.5, 61.8), (-1.5, 22.2)):
        _, columns = np.nonzero(reddish(draw(renderer, Block(x, 0.5, 0, 0, "red"))))
        assert columns.mean() == pytest.approx(column, abs=2.5)


def test_up_is_up(renderer: TinyRenderer) -> None:
    low, high = (
        np.nonzero(reddish(draw(renderer, Block(0, y, 0, 0, "red"))))[0].mean() for y in (0.5, 2.5)
    )
    assert high < low - 15


def test_other_colours_are_not_red(renderer: TinyRenderer) -> None:
    for color in ("yellow", "green", "blue", "purple", "orange", "cyan"):
        image = draw(renderer, Block(0, 0.5, 0, 0, color))
        assert reddish(image).sum() < 5, color


def test_a_picture_does_not_depend_on_those_before(renderer: TinyRenderer) -> None:
    first = draw(renderer, Block(0, 0.5, 0, 0.2, "red"))
    draw(renderer, *(Block(k - 3, 0.5, 0, 0.1, "blue") for k in range(MAX_BLOCKS)))
    assert np.array_equal(draw(renderer, Block(0, 0.5, 0, 0.2, "red")), first)


def test_too_many_blocks_are_refused(renderer: TinyRenderer) -> None:
    with pytest.raises(SceneError, match="8 blocks"):
        draw(renderer, *(Block(k, 0.5, 0, 0, "red") for k in range(MAX_BLOCKS + 1)))
