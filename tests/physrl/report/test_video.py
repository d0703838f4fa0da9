from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from physrl.config.environment import EnvironmentConfig
from physrl.environments.renderer import TinyRenderer
from physrl.environments.simulator import Simulator
from physrl.errors import UserError
from physrl.report.video import STILL, film, write_film
from physrl.tasks import TASKS
from physrl.tasks.task import make_prompt, make_scene
from physrl.types import Image as Picture
from physrl.types import Offset

PLACE = TASKS["place"]
SCENE = make_scene(PLACE, EnvironmentConfig(), 0, "test", 0)


@pytest.fixture
def frames(simulator: Simulator, renderer: TinyRenderer) -> list[Picture]:
    release = PLACE.release(SCENE, Offset(0.0, 3.0))
    assert release is not None
    return film(SCENE, release, simulator, renderer, 64)


def test_a_film_begins_with_the_scene_and_ends_at_rest(
    frames: list[Picture], simulator: Simulator, renderer: TinyRenderer
) -> None:
    shown = make_prompt(PLACE, SCENE, renderer, 64, reasoning=False).image
    assert all(np.array_equal(frame, shown) for frame in frames[:STILL])
    release = PLACE.release(SCENE, Offset(0.0, 3.0))
    assert release is not None
    poses = simulator.settle(release.blocks, release.drop).poses
    after = renderer.render(poses, SCENE.camera, SCENE.appearance, 64)
    assert all(np.array_equal(frame, after) for frame in frames[-STILL:])
    assert len({frame.tobytes() for frame in frames}) > 10


def test_gif_holds_the_film(frames: list[Picture], tmp_path: Path) -> None:
    write_film(frames, tmp_path / "film.gif")
    with Image.open(tmp_path / "film.gif") as film:
        assert film.size == (64, 64)
        # Pillow joins equal frames into one that lasts longer.
        total = 0
        for place in range(film.n_frames):  # type: ignore[attr-defined]
            film.seek(place)
            total += film.info["duration"]
    assert total == 30 * len(frames)


def test_mp4_holds_the_film(frames: list[Picture], tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    write_film(frames, tmp_path / "film.mp4")
    film = cv2.VideoCapture(str(tmp_path / "film.mp4"))
    assert film.get(cv2.CAP_PROP_FRAME_COUNT) == len(frames)
    _, first = film.read()
    assert np.abs(first[..., ::-1].astype(int) - frames[0]).mean() < 12


def test_other_endings_and_missing_folders(frames: list[Picture], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"end a video in \.gif or \.mp4"):
        write_film(frames, tmp_path / "film.png")
    for name in ("film.gif", "film.mp4"):
        with pytest.raises(FileNotFoundError):
            write_film(frames, tmp_path / "no" / name)
