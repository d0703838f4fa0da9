from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from physrl import types
from physrl.config.environment import EnvironmentConfig
from physrl.environments.renderer import TinyRenderer
from physrl.environments.simulator import Simulator
from physrl.errors import UserError
from physrl.report.video import HOLD_FRAMES, render_video, write_video
from physrl.tasks import TASKS
from physrl.tasks.task import make_prompt, make_scene
from physrl.types import Offset

PLACE = TASKS["place"]
SCENE = make_scene(PLACE, EnvironmentConfig(), 0, "test", 0)


@pytest.fixture
def frames(simulator: Simulator, renderer: TinyRenderer) -> list[types.Image]:
    release = PLACE.release(SCENE, Offset(0.0, 3.0))
    assert release is not None
    return render_video(SCENE, release, simulator, renderer, 64)


def test_a_video_starts_with_the_scene_and_ends_at_rest(
    frames: list[types.Image], simulator: Simulator, renderer: TinyRenderer
) -> None:
    shown = make_prompt(PLACE, SCENE, renderer, 64, reasoning=False).image
    assert all(np.array_equal(frame, shown) for frame in frames[:HOLD_FRAMES])
    release = PLACE.release(SCENE, Offset(0.0, 3.0))
    assert release is not None
    poses = simulator.settle(release.blocks, release.drop).poses
    after = renderer.render(poses, SCENE.camera, SCENE.appearance, 64)
    assert all(np.array_equal(frame, after) for frame in frames[-HOLD_FRAMES:])
    assert len({frame.tobytes() for frame in frames}) > 10


def test_gif_has_all_frames(frames: list[types.Image], tmp_path: Path) -> None:
    write_video(frames, tmp_path / "video.gif")
    with Image.open(tmp_path / "video.gif") as video:
        assert video.size == (64, 64)
        # Pillow merges equal frames into a longer one.
        total = 0
        for index in range(video.n_frames):  # type: ignore[attr-defined]
            video.seek(index)
            total += video.info["duration"]
    assert total == 30 * len(frames)


def test_mp4_has_all_frames(frames: list[types.Image], tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    write_video(frames, tmp_path / "video.mp4")
    video = cv2.VideoCapture(str(tmp_path / "video.mp4"))
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == len(frames)
    _, first = video.read()
    assert np.abs(first[..., ::-1].astype(int) - frames[0]).mean() < 12


def test_other_suffixes_and_missing_folders_are_errors(
    frames: list[types.Image], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"video\.png.*\.gif"):
        write_video(frames, tmp_path / "video.png")
    for name in ("video.gif", "video.mp4"):
        with pytest.raises(FileNotFoundError):
            write_video(frames, tmp_path / "no" / name)
