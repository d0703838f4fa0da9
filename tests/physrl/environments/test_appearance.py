import colorsys
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from physrl.environments.appearance import Level, frame, sample_view
from physrl.environments.palette import COLORS, HELD_OUT_COLORS, RED, TOWER_COLORS, rgb
from physrl.environments.photo_renderer import PhotoRenderer
from physrl.environments.projection import corners, project
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
    """Sample a stack of two to six blocks of mixed sizes and a red block next to it."""
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


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("camera", ["seen", "held_out"])
def test_all_blocks_lie_inside_the_image(level: Level, camera: Literal["seen", "held_out"]) -> None:
    for seed in range(400):
        blocks = scene(seed)
        sampled, _ = sample_view(np.random.default_rng(seed), level, blocks, camera)
        coordinates = np.stack(project(sampled, corners(blocks)))
        assert coordinates.min() >= 0, seed
        assert coordinates.max() <= 1, seed


@given(st.integers(0, 2**32), st.floats(-3, 3), st.floats(0.2, 4))
@settings(max_examples=60, deadline=None)
def test_a_framed_camera_is_not_changed_again(seed: int, x: float, size: float) -> None:
    rng = np.random.default_rng(seed)
    blocks = (Block(x, size / 2, 0.0, 0.3, "blue", size),)
    camera = Camera(0.0, float(rng.uniform(2, 5)), 8.0, 1.5, float(rng.uniform(20, 60)))
    framed = frame(camera, corners(blocks))
    assert frame(framed, corners(blocks)) == framed
    assert (framed.x, framed.height, framed.distance) == (camera.x, camera.height, 8.0)


@pytest.mark.parametrize("level", LEVELS)
def test_a_view_is_a_function_of_its_random_stream(level: Level) -> None:
    first, again, other = (
        sample_view(np.random.default_rng(seed), level, scene(5)) for seed in (1, 1, 2)
    )
    assert first == again
    assert first[0] != other[0]
    assert first[1] != other[1]


def test_level_none_samples_the_camera_then_the_light() -> None:
    rng = np.random.default_rng(3)
    camera, appearance = sample_view(np.random.default_rng(3), "none", scene(1)[:2])
    ranges = ((-0.27, 0.27), (3.0, 4.6), (12.5, 14.5), (1.45, 1.65), (25.8, 27.2))
    assert camera == Camera(*(float(rng.uniform(*limits)) for limits in ranges))
    assert appearance.light == tuple(rng.uniform(*limits) for limits in ((-2, 2), (3, 5), (2, 4)))
    assert appearance.colors == ()


def test_held_out_cameras_look_down_more_steeply_than_others() -> None:
    def slopes(split: Literal["seen", "held_out"]) -> list[float]:
        cameras = [
            sample_view(np.random.default_rng(seed), level, scene(seed), split)[0]
            for level in LEVELS
            for seed in range(200)
        ]
        return [(camera.height - camera.look_at_height) / camera.distance for camera in cameras]

    assert max(slopes("seen")) <= 0.6 < 0.65 <= min(slopes("held_out"))


def test_higher_levels_vary_more() -> None:
    spread = {}
    for level in LEVELS:
        views = [sample_view(np.random.default_rng(seed), level, scene(1)) for seed in range(100)]
        spread[level] = (
            np.std([camera.distance for camera, _ in views]),
            np.std([appearance.ground for _, appearance in views], axis=0).max(),
            np.std([appearance.ambient for _, appearance in views]),
        )
    assert spread["none"][0] < spread["photo"][0] < spread["wild"][0]
    for k in (1, 2):
        assert spread["none"][k] < 1e-9 < spread["photo"][k] < spread["wild"][k]


@pytest.mark.parametrize("level", LEVELS)
def test_colors_keep_the_hue_of_their_name(level: Level) -> None:
    for seed in range(200):
        _, appearance = sample_view(np.random.default_rng(seed), level, scene(seed))
        for name in COLORS:
            hue, saturation, value = colorsys.rgb_to_hsv(*rgb(name, appearance))
            nearest = min(HUE, key=lambda other: abs((hue - HUE[other] + 0.5) % 1 - 0.5))
            assert nearest == name
            assert saturation > 0.5
            assert value > 0.2


@pytest.mark.parametrize("level", LEVELS)
def test_only_the_red_block_looks_red(level: Level) -> None:
    photo = PhotoRenderer()
    for seed in range(25):
        rng = np.random.default_rng(seed)
        blocks = scene(seed)
        camera, appearance = sample_view(rng, level, blocks)
        image = photo.render([start_pose(block) for block in blocks], camera, appearance, 84)
        without = photo.render([start_pose(block) for block in blocks[:-1]], camera, appearance, 84)
        columns, rows = (coordinates * 84 for coordinates in project(camera, corners(blocks[-1:])))
        window = np.zeros((84, 84), bool)
        window[
            max(int(rows.min()) - 1, 0) : int(rows.max()) + 2,
            max(int(columns.min()) - 1, 0) : int(columns.max()) + 2,
        ] = True
        red = looks_red(image)
        assert red[window].sum() > 0.35 * np.ptp(columns) * np.ptp(rows), seed
        # Pixels at the border of two other colors may mix to a reddish color.
        assert red[~window].sum() <= 12, seed
        assert looks_red(without).sum() <= 12, seed


def looks_red(image: np.ndarray) -> np.ndarray:
    pixels = image.astype(float)
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    top, low = pixels.max(axis=2), pixels.min(axis=2)
    hue = (green - blue) / np.maximum(top - low, 1)
    return (top == red) & (top - low > 0.55 * top) & (top > 40) & (np.abs(hue) < 0.28)


def test_distractors_are_never_red_and_do_not_touch_blocks() -> None:
    count = 0
    for seed in range(300):
        blocks = scene(seed)
        camera, appearance = sample_view(np.random.default_rng(seed), "wild", blocks)
        for distractor in appearance.distractors:
            count += 1
            assert distractor.color != RED
            assert distractor.color not in HELD_OUT_COLORS
            assert distractor.color not in {block.color for block in blocks}
            assert distractor.y == distractor.size / 2
            first = np.stack(project(camera, corners([distractor])))
            for block in blocks:
                second = np.stack(project(camera, corners([block])))
                gap = np.maximum(
                    first.min(axis=1) - second.max(axis=1), second.min(axis=1) - first.max(axis=1)
                )
                assert gap.max() > 0.01, seed
    assert count > 100
    for level in ("none", "photo"):
        assert sample_view(np.random.default_rng(0), level, scene(0))[1].distractors == ()


def test_distractors_never_have_held_out_colors() -> None:
    shown = set()
    for seed in range(60):
        colors = iter(HELD_OUT_COLORS)
        *tower, red = scene(seed)
        blocks = (*(replace(block, color=next(colors)) for block in tower), red)
        _, appearance = sample_view(np.random.default_rng(seed), "wild", blocks)
        shown |= {distractor.color for distractor in appearance.distractors}
    assert shown == set(TOWER_COLORS)
