"""Previews of scenes: a contact sheet, a reward landscape, a video of an answer's outcome."""

import io
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from PIL import Image

from jobs.display.contact_sheet import draw_sheet
from physrl import types
from physrl.config import RunConfig
from physrl.environments.generators import GENERATORS
from physrl.environments.renderer import Renderer, make_renderer
from physrl.environments.simulator import Simulator
from physrl.errors import UserError
from physrl.report.landscape import compute_landscape, draw_landscape
from physrl.report.video import check_suffix, render_video, write_video
from physrl.tasks import TASKS
from physrl.tasks.answers import answer_text, format_action
from physrl.tasks.plan import ideal_plan
from physrl.tasks.task import Task, make_scene, scene_image

LARGE = 336
"""Pixels of the side of a video, and of a landscape's image."""


def run(
    task_name: str, config: RunConfig, *, seed: int, count: int, out: Path, generator: str = "iid"
) -> None:
    """Draw the first `count` test scenes of a task into one image file.

    Raises:
        UserError: the task or generator is unknown, or the file cannot be written.
    """
    task = _find_task(task_name)
    _check_image_file(out)
    scenes = [_draw_scene(task, config, seed, index, generator) for index in range(count)]
    with _open_tools(config) as (simulator, renderer):
        sheet = draw_sheet(task, scenes, config, simulator, renderer)
    with _name_file(out):
        sheet.save(out)
    print(out)


def run_landscape(
    task_name: str, config: RunConfig, *, seed: int, index: int, out: Path, generator: str = "iid"
) -> None:
    """Draw the configured reward of each answer to a test scene.

    Raises:
        UserError: the task or generator is unknown, the task's answers are not numbers, or the
            file cannot be written.
    """
    task = _find_task(task_name)
    if not task.axes:
        offsets = " or ".join(name for name, other in TASKS.items() if other.axes)
        raise UserError(f"'{task_name}' has no landscape, only Yes and No: choose {offsets}")
    _check_image_file(out)
    scene = _draw_scene(task, config, seed, index, generator)
    with _open_tools(config) as (simulator, renderer):
        image = scene_image(scene, renderer, LARGE)
        landscape = compute_landscape(scene, config.reward, simulator)
    with _name_file(out):
        # Pillow writes more formats than matplotlib does.
        stream = io.BytesIO()
        draw_landscape(scene, image, landscape).savefig(stream, format="png", dpi=110)
        Image.open(stream).convert("RGB").save(out)
    print(out)


def run_video(
    task_name: str,
    config: RunConfig,
    *,
    seed: int,
    index: int,
    answer: str | None,
    out: Path,
    generator: str = "iid",
) -> None:
    """Film a test scene after an answer, or after the ideal ones to all attempts.

    Raises:
        UserError: the task or generator is unknown, the answer cannot be parsed or moves the
            block into another, or the file cannot be written.
    """
    task = _find_task(task_name)
    check_suffix(out)
    _check_writable(out)
    scene = _draw_scene(task, config, seed, index, generator)
    action = task.ideal(scene) if answer is None else task.parse(answer_text(answer))
    if isinstance(action, types.Unparseable):
        ideal = format_action(task.ideal(scene), task.axes)
        raise UserError(f"--answer is '{answer}': {action.reason}; the ideal answer is '{ideal}'")
    if task.release(scene, action) is None:
        raise UserError(
            f"--answer is '{answer}': the red block would overlap another: move it away"
        )
    with _open_tools(config) as (simulator, renderer):
        moves: list[tuple[types.SceneSpec, types.Action]] = [(scene, action)]
        if answer is None:
            moves = [(step.scene, step.action) for step in ideal_plan(task, scene, simulator)]
        frames = list[types.Image]()
        for begun, move in moves:
            release = task.release(begun, move)
            assert release is not None  # ideal answers are legal
            frames += render_video(begun, release, simulator, renderer, LARGE)
    with _name_file(out):
        write_video(frames, out)
    print(out)


def _find_task(name: str) -> Task:
    if name not in TASKS:
        raise UserError(f"unknown task '{name}': choose {' or '.join(TASKS)}")
    return TASKS[name]


def _draw_scene(
    task: Task, config: RunConfig, seed: int, index: int, generator: str
) -> types.SceneSpec:
    if generator not in GENERATORS:
        raise UserError(f"unknown generator '{generator}': choose {' or '.join(GENERATORS)}")
    settings = GENERATORS[generator](config.environment)
    return make_scene(task, settings, seed, "test", index, generator)


def _check_image_file(out: Path) -> None:
    if Image.registered_extensions().get(out.suffix.lower()) not in Image.SAVE:
        raise UserError(f"--out is {out}: not an image format that can be written: end it in .png")
    _check_writable(out)


def _check_writable(out: Path) -> None:
    """Refuse a file that cannot be written before anything is drawn."""
    with _name_file(out):
        exists = out.exists()
        out.open("ab").close()
        if not exists:
            out.unlink()


@contextmanager
def _name_file(out: Path) -> Iterator[None]:
    """Turn a system error into one that names the output file."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"--out is {out}: cannot be written ({error.strerror or error}): name a file in a "
            "folder that exists and is writable"
        ) from None


@contextmanager
def _open_tools(config: RunConfig) -> Iterator[tuple[Simulator, Renderer]]:
    with closing(Simulator()) as simulator, closing(make_renderer(config.environment)) as renderer:
        yield simulator, renderer
