import hashlib
import math
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from physrl.environments.appearance import sample_view
from physrl.environments.photo_renderer import PhotoRenderer
from physrl.environments.projection import corners, project
from physrl.environments.simulator import start_pose
from physrl.errors import SceneError
from physrl.types import Appearance, Block, Camera, Image, Pose

SIZE = 96
CAMERA = Camera(x=0.0, height=6.0, distance=14.0, look_at_height=1.5, fov_degrees=28.0)
PLAIN = Appearance(
    light=(0.0, 1.0, 0.0), ground=(0.8, 0.8, 0.8), backdrop=(0.6, 0.6, 0.6), backdrop_distance=4.0
)
TOWER = (Block(0, 0.5, 0, 0.3, "red"), Block(0.2, 1.5, 0, 0.1, "blue"))


@pytest.fixture(scope="module")
def photo() -> Iterator[PhotoRenderer]:
    renderer = PhotoRenderer()
    yield renderer
    renderer.close()


def draw(
    photo: PhotoRenderer, *blocks: Block, appearance: Appearance = PLAIN, size: int = SIZE
) -> Image:
    return photo.render([start_pose(block) for block in blocks], CAMERA, appearance, size)


def reddish(image: Image) -> np.ndarray:
    red, green, blue = np.moveaxis(image.astype(int), 2, 0)
    return (red > 60) & (red > 2 * green) & (red > 2 * blue)


def brightness(image: Image, x: float, z: float) -> float:
    """Measure the brightness of the ground at a point."""
    (column,), (row,) = project(CAMERA, np.array([[x, 0.0, z]]))
    return float(image[int(row * SIZE), int(column * SIZE)].mean())


@pytest.mark.parametrize("stretch", [(1.0, 1.0), (3.0, 0.5), (0.4, 2.0)])
def test_a_block_covers_the_pixels_between_its_corners(
    stretch: tuple[float, float], photo: PhotoRenderer
) -> None:
    block = Block(0.7, 1.2, -0.4, 0.0, "red", 0.8, stretch)
    rows, columns = np.nonzero(reddish(draw(photo, block, size=224)))
    across, down = (224 * coordinates for coordinates in project(CAMERA, corners([block])))
    box = [columns.min(), columns.max() + 1, rows.min(), rows.max() + 1]
    assert box == pytest.approx([across.min(), across.max(), down.min(), down.max()], abs=1.5)


def test_a_tilted_block_is_drawn_in_its_pose(photo: PhotoRenderer) -> None:
    # Rotated by 45 degrees around the line of sight: as wide as its diagonal.
    tilt = (0.0, math.sin(math.pi / 8), 0.0, math.cos(math.pi / 8))
    level = replace(CAMERA, height=1.5)
    lying = photo.render([Pose((0, 1.5, 0), tilt, "red")], level, PLAIN, 224)
    upright = photo.render([start_pose(Block(0, 1.5, 0, 0, "red"))], level, PLAIN, 224)
    wide, narrow = (np.ptp(np.nonzero(reddish(image))[1]) + 1 for image in (lying, upright))
    assert wide / narrow == pytest.approx(math.sqrt(2), abs=0.06)


def test_near_blocks_occlude_far_ones(photo: PhotoRenderer) -> None:
    behind, before = Block(0, 0.5, -1.5, 0, "red"), Block(0, 0.5, 1, 0, "blue", 1.6)
    assert reddish(draw(photo, behind)).sum() > 100
    assert reddish(draw(photo, behind, before)).sum() < reddish(draw(photo, behind)).sum() / 3


def test_empty_ground_and_wall_have_their_exact_colors(photo: PhotoRenderer) -> None:
    image = draw(photo)
    assert set(np.unique(image[-20:])) == {204}  # 0.8 * 255
    assert set(np.unique(image[:8])) == {153}  # 0.6 * 255


def test_a_shadow_falls_away_from_the_light(photo: PhotoRenderer) -> None:
    # A light 45 degrees up on the right: the top of a cube 1 high reaches 1 further to the left.
    image = draw(photo, TOWER[0], appearance=replace(PLAIN, light=(1.0, 1.0, 0.0)))
    assert brightness(image, -1.1, 0) < 0.85 * brightness(image, 1.1, 0)
    assert brightness(image, -2.2, 0) > 0.95 * brightness(image, 2.2, 0)


def test_a_larger_light_casts_a_softer_shadow(photo: PhotoRenderer) -> None:
    def steepest(light_size: float) -> float:
        lamp = replace(PLAIN, light=(1.0, 1.0, 0.0), light_size=light_size)
        image = draw(photo, Block(0, 2.5, 0, 0, "white"), appearance=lamp)
        (_,), (row,) = project(CAMERA, np.array([[0.0, 0.0, 0.0]]))
        line = image[int(row * SIZE), : SIZE // 2].mean(axis=1)
        return float(np.abs(np.diff(line)).max())

    assert steepest(0.0) > 2 * steepest(0.3)


def test_more_ambient_light_makes_fainter_shadows(photo: PhotoRenderer) -> None:
    def depth(ambient: float) -> float:
        lamp = replace(PLAIN, light=(1.0, 1.0, 0.0), ambient=ambient)
        image = draw(photo, TOWER[0], appearance=lamp)
        return brightness(image, 1.3, 0) - brightness(image, -1.1, 0)

    assert depth(0.9) < 0.5 * depth(0.3)


def test_the_ground_is_darker_near_a_block(photo: PhotoRenderer) -> None:
    image = draw(photo, TOWER[0])
    assert brightness(image, 0.0, 0.75) < brightness(image, 0.0, 1.6) < 205


def test_wrinkles_grain_and_noise_affect_only_their_part(photo: PhotoRenderer) -> None:
    plain = draw(photo, TOWER[0])
    wrinkled = draw(photo, TOWER[0], appearance=replace(PLAIN, wrinkle=0.05))
    grained = draw(photo, TOWER[0], appearance=replace(PLAIN, grain=0.1))
    noisy = draw(photo, appearance=replace(PLAIN, noise=0.02))
    assert 0.02 < wrinkled[:8].std() / wrinkled[:8].mean() < 0.12
    assert np.array_equal(grained[:8], plain[:8])
    change = grained.astype(float) - plain
    assert change[reddish(plain)].std() > 2
    assert noisy[-20:].std() == pytest.approx(0.02 * 255, rel=0.1)


def test_textures_are_a_function_of_their_seed(photo: PhotoRenderer) -> None:
    cloth = replace(PLAIN, wrinkle=0.05, grain=0.1)
    images = [
        draw(photo, *TOWER, appearance=replace(cloth, texture_seed=seed)) for seed in (1, 9, 1)
    ]
    assert np.array_equal(images[0], images[2])
    assert (images[0] != images[1]).mean() > 0.3


def test_arbitrary_poses_and_a_camera_among_the_blocks_are_rendered(photo: PhotoRenderer) -> None:
    rng = np.random.default_rng(3)
    rotations = rng.normal(size=(7, 4))
    rotations /= np.linalg.norm(rotations, axis=1, keepdims=True)
    poses = [
        Pose((float(k - 3), 1.0, 0.0), (float(a), float(b), float(c), float(d)), "blue", 1.2)
        for k, (a, b, c, d) in enumerate(rotations)
    ]
    near = replace(CAMERA, distance=0.2, height=1.0)
    for camera in (CAMERA, near):
        image = photo.render(poses, camera, PLAIN, SIZE)
        assert image.shape == (SIZE, SIZE, 3)
        assert image.dtype == np.uint8


@pytest.mark.parametrize("size", [0, 3, 15])
def test_too_small_images_are_rejected(photo: PhotoRenderer, size: int) -> None:
    with pytest.raises(SceneError, match=rf"\b{size} px.* 16 px"):
        draw(photo, size=size)


HASH = """
import hashlib, numpy as np
from physrl.environments.appearance import sample_view
from physrl.environments.photo_renderer import PhotoRenderer
from physrl.environments.simulator import start_pose
from physrl.types import Block
tower = (Block(0, 0.5, 0, 0.3, "red"), Block(0.2, 1.5, 0, 0.1, "blue"))
camera, appearance = sample_view(np.random.default_rng(7), "wild", tower)
image = PhotoRenderer().render([start_pose(b) for b in tower], camera, appearance, 96)
print(hashlib.sha256(image.tobytes()).hexdigest())
"""


def test_another_process_renders_the_same_bytes(photo: PhotoRenderer) -> None:
    camera, appearance = sample_view(np.random.default_rng(7), "wild", TOWER)
    draw(photo, *TOWER)  # earlier images must not matter
    image = photo.render([start_pose(block) for block in TOWER], camera, appearance, SIZE)
    run = subprocess.run(
        [sys.executable, "-c", HASH], capture_output=True, text=True, check=True, timeout=600
    )
    assert run.stdout.split()[-1] == hashlib.sha256(image.tobytes()).hexdigest()
