import hashlib
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest

from physrl.config.environment import EnvironmentConfig
from physrl.environments.palette import COLORS
from physrl.environments.projection import corners, project
from physrl.environments.quiet_bullet import pybullet
from physrl.environments.renderer import TinyRenderer, make_renderer
from physrl.environments.simulator import start_pose
from physrl.errors import SceneError, SimulationError
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


def test_blocks_are_drawn_where_a_pinhole_projects_them(renderer: TinyRenderer) -> None:
    # 42 + 1.5 * 42 / (7.5 * tan 23 degrees) = 61.8; mirrored: 22.2.
    for x, column in ((1.5, 61.8), (-1.5, 22.2)):
        _, columns = np.nonzero(reddish(draw(renderer, Block(x, 0.5, 0, 0, "red"))))
        assert columns.mean() == pytest.approx(column, abs=2.5)


@pytest.mark.parametrize("stretch", [(1.0, 1.0), (3.0, 0.5), (0.4, 2.0)])
def test_boxes_cover_the_pixels_between_their_corners(
    stretch: tuple[float, float], renderer: TinyRenderer
) -> None:
    box = Block(0.7, 1.2, -0.4, 0.0, "red", 0.8, stretch)
    rows, columns = np.nonzero(reddish(draw(renderer, box, size=224)))
    across, down = (224 * coordinates for coordinates in project(CAMERA, corners([box])))
    edges = [columns.min(), columns.max() + 1, rows.min(), rows.max() + 1]
    assert edges == pytest.approx([across.min(), across.max(), down.min(), down.max()], abs=1.5)


def test_higher_blocks_are_drawn_higher(renderer: TinyRenderer) -> None:
    low, high = (
        np.nonzero(reddish(draw(renderer, Block(0, y, 0, 0, "red"))))[0].mean() for y in (0.5, 2.5)
    )
    assert high < low - 15


def test_other_colors_do_not_look_red(renderer: TinyRenderer) -> None:
    for color in ("yellow", "green", "blue", "purple", "orange", "cyan"):
        image = draw(renderer, Block(0, 0.5, 0, 0, color))
        assert reddish(image).sum() < 5, color


def test_images_do_not_depend_on_earlier_ones(renderer: TinyRenderer) -> None:
    first = draw(renderer, Block(0, 0.5, 0, 0.2, "red"))
    draw(renderer, *(Block(k - 3, 0.5, 0, 0.1, "blue") for k in range(7)))
    assert np.array_equal(draw(renderer, Block(0, 0.5, 0, 0.2, "red")), first)


def test_images_like_those_of_the_tiny_base_are_unchanged(renderer: TinyRenderer) -> None:
    blocks = [
        Block(-0.3, 0.5, 0, 0.2, "green"),
        Block(0.1, 1.5, 0, 0.1, "blue"),
        Block(-0.2, 2.5, 0, 0.3, "yellow"),
        Block(1.6, 0.5, 0, 0.2, "red"),
    ]
    camera, light = replace(CAMERA, x=0.1), Appearance(light=(1.0, 4.0, 3.0))
    image = renderer.render([start_pose(block) for block in blocks], camera, light, 84)
    digest = hashlib.sha256(image.tobytes()).hexdigest()
    assert digest == "1c944c1720636c7ab8cb9ee34e175be2300d3f8b813925d25fdda9ac70dfaf43"


def test_rendering_a_window_equals_rendering_the_whole_image(renderer: TinyRenderer) -> None:
    # Far blocks in two corners extend the window to the whole image; the middle must not change.
    pose = start_pose(Block(0.1, 0.5, 0, 0.3, "red"))
    corners = [start_pose(Block(x, y, -3, 0, "blue")) for x, y in ((-4.1, 4.5), (4.1, -2.6))]
    alone = renderer.render([pose], CAMERA, APPEARANCE, 84)
    among = renderer.render([pose, *corners], CAMERA, APPEARANCE, 84)
    assert np.array_equal(alone[20:60, 25:60], among[20:60, 25:60])
    assert not np.array_equal(alone, among)


def test_smaller_blocks_are_drawn_smaller(renderer: TinyRenderer) -> None:
    whole, half = (
        reddish(draw(renderer, Block(0, size / 2, 0, 0, "red", size), size=224)).sum()
        for size in (1.0, 0.5)
    )
    # Front faces at 7 and 7.25 from the camera: areas as 1 / 49 and 0.25 / 52.6.
    assert half / whole == pytest.approx(0.25 * 49 / 52.6, rel=0.1)


def test_colors_ground_and_wall_follow_the_appearance(renderer: TinyRenderer) -> None:
    appearance = Appearance(
        light=(0.0, 1.0, 0.0),
        ground=(0.2, 0.4, 0.6),
        backdrop=(0.6, 0.4, 0.2),
        colors=(("blue", COLORS["red"]),),
    )
    image = renderer.render([start_pose(Block(0, 0.5, 0, 0, "blue"))], CAMERA, appearance, 84)
    # A light straight above gives the ground 0.55 + 0.55 of its color.
    assert tuple(image[-1, 0]) == tuple(int(int(255 * c) * 1.1) for c in (0.2, 0.4, 0.6))
    assert tuple(image[0, 0]) == (153, 102, 51)
    assert reddish(image).sum() > 100


def test_a_camera_shift_moves_the_image(renderer: TinyRenderer) -> None:
    pose = start_pose(Block(0, 0.5, 0, 0.3, "red"))
    still = renderer.render([pose], CAMERA, APPEARANCE, 84)
    camera = replace(CAMERA, shift_x=10 / 84, shift_y=-5 / 84)
    moved = renderer.render([pose], camera, APPEARANCE, 84)
    assert np.array_equal(reddish(moved)[:-5, 10:], reddish(still)[5:, :-10])


def test_distractors_are_drawn(renderer: TinyRenderer) -> None:
    cluttered = replace(APPEARANCE, distractors=(Block(2, 0.25, -2, 0, "red", 0.5),))
    assert reddish(renderer.render([], CAMERA, cluttered, 84)).sum() > 10


@pytest.mark.parametrize("size", [0, 3, 15])
def test_too_small_images_are_rejected(renderer: TinyRenderer, size: int) -> None:
    with pytest.raises(SceneError, match=rf"\b{size} px.* 16 px"):
        draw(renderer, size=size)


@pytest.mark.parametrize("name", ["tiny", "photo"])
def test_the_configured_renderer_is_made(name: Literal["tiny", "photo"]) -> None:
    renderer = make_renderer(EnvironmentConfig(renderer=name))
    image = renderer.render([start_pose(Block(0, 0.5, 0, 0, "red"))], CAMERA, APPEARANCE, 32)
    assert image.shape == (32, 32, 3)
    renderer.close()


def test_a_refused_connection_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pybullet, "connect", lambda _: -1)
    with pytest.raises(SimulationError):
        TinyRenderer()
