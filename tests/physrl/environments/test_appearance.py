import colorsys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from physrl.environments.appearance import Level, frame, sample_view
from physrl.environments.palette import COLORS, HELD_OUT_COLORS, RED, TOWER_COLORS, rgb
from physrl.environments.photo_renderer import PhotoRenderer
from physrl.environments.projection import corners, pose_corners, project
from physrl.environments.simulator import start_pose
from physrl.types import Block, Camera

LEVELS: tuple[Level, ...] = ("none", "photo", "wild")
HUE = {
    "red": 0.0,
    "orange": 1 / 12,
    "yellow": 1 / 6,
    "green": 1 / 3,
    "cyan": 1 / 2,
    "blue": 0.61,
    "purple": 0.80,
}


def scene(seed: int) -> tuple[Block, ...]:
    """Two to six blocks in one stack, of mixed sizes, and a red block beside it."""
    rng = np.random.default_rng(seed)
    colors = rng.permutation([name for name in COLORS if name != RED])
    x, y, blocks = rng.uniform(-0.8, 0.8), 0.0, []
    for k in range(int(rng.integers(2, 7))):
        size = float(rng.uniform(0.7, 1.3))
        blocks.append(
            Block(float(x), y + size / 2, 0.0, float(rng.uniform(-1, 1)), str(colors[k]), size)
        )
        x, y = x + rng.uniform(-0.6, 0.6), y + size
    side = float(rng.choice([-1, 1]) * rng.uniform(1.4, 2.1))
    return (*blocks, Block(blocks[0].x + side, 0.5, 0.0, 0.2, RED))


def test_points_are_projected_as_by_hand() -> None:
    # Straight ahead, 90 degrees wide: a point 4 away and 2 to the right lies at 1/2 + 2/8.
    camera = Camera(x=1.0, height=2.0, distance=4.0, look_at_height=2.0, fov_degrees=90.0)
    columns, rows = project(camera, np.array([[1.0, 2.0, 0.0], [3.0, 3.0, 0.0], [1.0, 2.0, 2.0]]))
    assert columns == pytest.approx([0.5, 0.75, 0.5])
    assert rows == pytest.approx([0.5, 0.375, 0.5])
    shifted = replace(camera, shift_x=0.1, shift_y=-0.2)
    (column,), (row,) = project(shifted, np.array([[1.0, 2.0, 0.0]]))
    assert (column, row) == pytest.approx((0.6, 0.3))


def test_both_ways_to_a_block_s_corners_agree() -> None:
    block = Block(0.3, 1.5, -0.2, 0.4, "blue", 0.8)
    ours, theirs = (
        sorted(map(tuple, found.round(9)))
        for found in (corners([block]), pose_corners(start_pose(block)))
    )
    assert ours == theirs


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("camera", ["seen", "held_out"])
def test_all_blocks_lie_inside_the_picture(level: Level, camera: str) -> None:
    for seed in range(400):
        blocks = scene(seed)
        held = "held_out" if camera == "held_out" else "seen"
        chosen, _ = sample_view(np.random.default_rng(seed), level, blocks, held)
        shares = np.stack(project(chosen, corners(blocks)))
        assert shares.min() >= 0, seed
        assert shares.max() <= 1, seed


@given(st.integers(0, 2**32), st.floats(-3, 3), st.floats(0.2, 4))
@settings(max_examples=60, deadline=None)
def test_a_frame_that_fits_is_left_alone(seed: int, x: float, size: float) -> None:
    rng = np.random.default_rng(seed)
    blocks = (Block(x, size / 2, 0.0, 0.3, "blue", size),)
    camera = Camera(0.0, float(rng.uniform(2, 5)), 8.0, 1.5, float(rng.uniform(20, 60)))
    framed = frame(camera, corners(blocks))
    assert frame(framed, corners(blocks)) == framed
    assert (framed.x, framed.height, framed.distance) == (camera.x, camera.height, 8.0)


@pytest.mark.parametrize("level", LEVELS)
def test_a_view_is_a_function_of_its_stream(level: Level) -> None:
    first, again, other = (
        sample_view(np.random.default_rng(seed), level, scene(5)) for seed in (1, 1, 2)
    )
    assert first == again
    assert first[0] != other[0]
    assert first[1] != other[1]


def test_the_plain_level_draws_camera_then_light() -> None:
    rng = np.random.default_rng(3)
    camera, appearance = sample_view(np.random.default_rng(3), "none", scene(1)[:2])
    ranges = ((-0.15, 0.15), (2.6, 3.6), (7.0, 8.0), (1.45, 1.65), (45, 47))
    assert camera == Camera(*(float(rng.uniform(*limits)) for limits in ranges))
    assert appearance.light == tuple(rng.uniform(*limits) for limits in ((-2, 2), (3, 5), (2, 4)))
    assert appearance.colors == ()


def test_held_out_cameras_look_down_more_steeply_than_all_others() -> None:
    def slopes(held: bool) -> list[float]:
        found = []
        for level in LEVELS:
            for seed in range(200):
                camera, _ = sample_view(
                    np.random.default_rng(seed),
                    level,
                    scene(seed),
                    "held_out" if held else "seen",
                )
                found.append((camera.height - camera.look_at_height) / camera.distance)
        return found

    assert max(slopes(held=False)) <= 0.6 < 0.65 <= min(slopes(held=True))


def test_levels_differ_in_how_much_they_vary() -> None:
    spread = {}
    for level in LEVELS:
        views = [sample_view(np.random.default_rng(seed), level, scene(1)) for seed in range(100)]
        spread[level] = (
            np.std([camera.distance for camera, _ in views]),
            np.std([look.ground for _, look in views], axis=0).max(),
            np.std([look.ambient for _, look in views]),
        )
    assert spread["none"][0] < spread["photo"][0] < spread["wild"][0]
    for k in (1, 2):
        assert spread["none"][k] < 1e-9 < spread["photo"][k] < spread["wild"][k]


@pytest.mark.parametrize("level", LEVELS)
def test_colours_keep_the_hue_of_their_name(level: Level) -> None:
    for seed in range(200):
        _, look = sample_view(np.random.default_rng(seed), level, scene(seed))
        for name in COLORS:
            hue, saturation, value = colorsys.rgb_to_hsv(*rgb(name, look))
            nearest = min(HUE, key=lambda other: abs((hue - HUE[other] + 0.5) % 1 - 0.5))
            assert nearest == name
            assert saturation > 0.5
            assert value > 0.2


@pytest.mark.parametrize("level", LEVELS)
def test_the_red_block_and_only_it_looks_red(level: Level) -> None:
    photo = PhotoRenderer()
    for seed in range(25):
        rng = np.random.default_rng(seed)
        blocks = scene(seed)
        camera, look = sample_view(rng, level, blocks)
        image = photo.render([start_pose(block) for block in blocks], camera, look, 84)
        without = photo.render([start_pose(block) for block in blocks[:-1]], camera, look, 84)
        columns, rows = (shares * 84 for shares in project(camera, corners(blocks[-1:])))
        there = np.zeros((84, 84), bool)
        there[
            max(int(rows.min()) - 1, 0) : int(rows.max()) + 2,
            max(int(columns.min()) - 1, 0) : int(columns.max()) + 2,
        ] = True
        red = looks_red(image)
        assert red[there].sum() > 0.35 * np.ptp(columns) * np.ptp(rows), seed
        # Where two other colours meet, a pixel may mix to something like red.
        assert red[~there].sum() <= 12, seed
        assert looks_red(without).sum() <= 12, seed


def looks_red(image: np.ndarray) -> np.ndarray:
    pixels = image.astype(float)
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    top, low = pixels.max(axis=2), pixels.min(axis=2)
    hue = (green - blue) / np.maximum(top - low, 1)
    return (top == red) & (top - low > 0.55 * top) & (top > 40) & (np.abs(hue) < 0.28)


def test_distractors_are_never_red_and_keep_clear_of_the_blocks() -> None:
    count = 0
    for seed in range(300):
        blocks = scene(seed)
        camera, look = sample_view(np.random.default_rng(seed), "wild", blocks)
        for thing in look.distractors:
            count += 1
            assert thing.color != RED
            assert thing.color not in HELD_OUT_COLORS
            assert thing.color not in {block.color for block in blocks}
            assert thing.y == thing.size / 2
            ours = np.stack(project(camera, corners([thing])))
            for block in blocks:
                theirs = np.stack(project(camera, corners([block])))
                gap = np.maximum(
                    ours.min(axis=1) - theirs.max(axis=1), theirs.min(axis=1) - ours.max(axis=1)
                )
                assert gap.max() > 0.01, seed
    assert count > 100
    for level in ("none", "photo"):
        assert sample_view(np.random.default_rng(0), level, scene(0))[1].distractors == ()


def test_distractors_have_no_held_out_colour_even_where_the_tower_has() -> None:
    shown = set()
    for seed in range(60):
        colors = iter(HELD_OUT_COLORS)
        *tower, red = scene(seed)
        blocks = (*(replace(block, color=next(colors)) for block in tower), red)
        _, look = sample_view(np.random.default_rng(seed), "wild", blocks)
        shown |= {thing.color for thing in look.distractors}
    assert shown == set(TOWER_COLORS)
