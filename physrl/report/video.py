"""Videos of what happens after an action: GIF by Pillow, MP4 by OpenCV."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from physrl.environments.renderer import Renderer
from physrl.environments.simulator import FRAMES_PER_SECOND, Simulator
from physrl.errors import UserError
from physrl.tasks.release import Release
from physrl.tasks.task import scene_image
from physrl.types import Image, SceneSpec

HOLD_FRAMES = FRAMES_PER_SECOND // 2
"""Number of frames for which the first and the last image are held."""


def render_video(
    scene: SceneSpec, release: Release, simulator: Simulator, renderer: Renderer, size: int
) -> list[Image]:
    """Render the blocks from their release until they rest.

    The first image is the scene as the model saw it.
    """
    first = scene_image(scene, renderer, size)
    images = [
        renderer.render(poses, scene.camera, scene.appearance, size)
        for poses in simulator.watch(release.blocks, release.drop, patience=release.patience)
    ]
    return [first] * HOLD_FRAMES + images + [images[-1]] * HOLD_FRAMES


def write_video(frames: Sequence[Image], path: Path) -> None:
    """Write frames in the format of the file's suffix.

    Raises:
        UserError: the suffix is not one of WRITERS, or its encoder is missing.
        OSError: the file cannot be written.
    """
    check_suffix(path)
    WRITERS[path.suffix.lower()](frames, path)


def check_suffix(path: Path) -> None:
    """Check that a path has the suffix of a supported format.

    Raises:
        UserError: the suffix is not one of WRITERS.
    """
    if path.suffix.lower() not in WRITERS:
        raise UserError(
            f"--out is {path}: unsupported video format; use a name that ends in "
            f"{' or '.join(WRITERS)}"
        )


def _write_gif(frames: Sequence[Image], path: Path) -> None:
    first, *others = [PillowImage.fromarray(frame) for frame in frames]
    milliseconds = round(1000 / FRAMES_PER_SECOND / 10) * 10  # GIF has hundredths of a second
    first.save(
        path, save_all=True, append_images=others, duration=milliseconds, loop=0, optimize=True
    )


def _write_mp4(frames: Sequence[Image], path: Path) -> None:
    try:
        import cv2  # a dependency of vLLM, not of the library
    except ImportError:
        raise UserError(f"--out is {path}: OpenCV is not installed; write a .gif instead") from None
    path.touch()  # OpenCV does not report files that it cannot write
    height, width, _ = frames[0].shape
    code = cv2.VideoWriter.fourcc(*"mp4v")
    writer = cv2.VideoWriter(str(path), code, FRAMES_PER_SECOND, (width, height))
    if not writer.isOpened():
        raise UserError(f"--out is {path}: OpenCV has no MPEG-4 encoder; write a .gif instead")
    for frame in frames:
        writer.write(np.ascontiguousarray(frame[..., ::-1]))
    writer.release()


WRITERS: dict[str, Callable[[Sequence[Image], Path], None]] = {
    ".gif": _write_gif,
    ".mp4": _write_mp4,
}
