"""What happens after an action, as a film: GIF through Pillow, MP4 through OpenCV."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from physrl.environments.renderer import Renderer
from physrl.environments.simulator import FRAMES_PER_SECOND, Simulator, start_pose
from physrl.errors import UserError
from physrl.tasks.release import Release
from physrl.types import Image, SceneSpec

STILL = FRAMES_PER_SECOND // 2
"""Frames that the first and the last picture stay."""


def film(
    scene: SceneSpec, release: Release, simulator: Simulator, renderer: Renderer, size: int
) -> list[Image]:
    """Pictures of the blocks from the moment they are let go until they rest.

    The scene as it was shown comes first, the blocks where they came to lie stay at the end.
    """
    shown = tuple(map(start_pose, scene.blocks))
    frames = [shown, *simulator.watch(release.blocks, release.drop)]
    drawn = [renderer.render(poses, scene.camera, scene.appearance, size) for poses in frames]
    return [drawn[0]] * STILL + drawn[1:] + [drawn[-1]] * STILL


def write_film(frames: Sequence[Image], path: Path) -> None:
    """Write the frames in the format of the file's ending.

    Raises:
        UserError: the ending is none of WRITERS, or its encoder is missing.
        OSError: the file cannot be written.
    """
    check_ending(path)
    WRITERS[path.suffix.lower()](frames, path)


def check_ending(path: Path) -> None:
    """Refuse what is no film before one is made.

    Raises:
        UserError: the ending is none of WRITERS.
    """
    if path.suffix.lower() not in WRITERS:
        raise UserError(f"--out is {path}: end a video in {' or '.join(WRITERS)}")


def _write_gif(frames: Sequence[Image], path: Path) -> None:
    first, *others = [PillowImage.fromarray(frame) for frame in frames]
    milliseconds = round(1000 / FRAMES_PER_SECOND / 10) * 10  # GIF counts in hundredths of a second
    first.save(
        path, save_all=True, append_images=others, duration=milliseconds, loop=0, optimize=True
    )


def _write_mp4(frames: Sequence[Image], path: Path) -> None:
    try:
        import cv2  # comes with vLLM, not with the library
    except ImportError:
        raise UserError(f"--out is {path}: OpenCV is not installed; end it in .gif") from None
    path.touch()  # OpenCV says nothing of a file that it cannot write
    height, width, _ = frames[0].shape
    code = cv2.VideoWriter.fourcc(*"mp4v")
    writer = cv2.VideoWriter(str(path), code, FRAMES_PER_SECOND, (width, height))
    if not writer.isOpened():
        raise UserError(f"--out is {path}: this OpenCV has no MPEG-4 encoder; end it in .gif")
    for frame in frames:
        writer.write(np.ascontiguousarray(frame[..., ::-1]))
    writer.release()


WRITERS: dict[str, Callable[[Sequence[Image], Path], None]] = {
    ".gif": _write_gif,
    ".mp4": _write_mp4,
}
