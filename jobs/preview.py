"""Scenes to look at: a contact sheet, a scene's reward landscape, a film of what happens.

The sheet shows scenes as the model sees them, the ideal answer, and what happens after.
"""

import io
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from physrl import types
from physrl.config import RunConfig
from physrl.environments.generators import GENERATORS
from physrl.environments.renderer import Renderer, make_renderer
from physrl.environments.simulator import Simulator, start_pose
from physrl.errors import UserError
from physrl.report.landscape import compute_landscape, draw_landscape
from physrl.report.video import check_suffix, render_video, write_video
from physrl.tasks import TASKS
from physrl.tasks.answers import answer_text, words
from physrl.tasks.task import Task, make_prompt, make_scene, question_text

PICTURE = 200
GAP = 8
LINE = 18
COLUMNS = 3
LARGE = 336
"""Pixels of a landscape's picture and of a film."""
BACKGROUND = "gainsboro"
CELL_WIDTH = 2 * PICTURE + 2 * GAP
CELL_HEIGHT = PICTURE + LINE + 2 * GAP


def run(
    task_name: str, config: RunConfig, *, seed: int, count: int, out: Path, generator: str = "iid"
) -> None:
    """Draw the first `count` test scenes of a task into one picture file.

    Raises:
        UserError: there is no such task or generator, or the file cannot be written.
    """
    task = _find(task_name)
    _check_picture(out)
    sheet = draw(task, config, seed, count, generator)
    with naming(out):
        sheet.save(out)
    print(out)


def run_landscape(
    task_name: str, config: RunConfig, *, seed: int, index: int, out: Path, generator: str = "iid"
) -> None:
    """Draw what each answer to a test scene would earn under the configured reward.

    Raises:
        UserError: there is no such task or generator, its answers are no numbers, or the
            file cannot be written.
    """
    task = _find(task_name)
    if not task.axes:
        offsets = " or ".join(name for name, other in TASKS.items() if other.axes)
        raise UserError(f"'{task_name}' has no landscape, only Yes and No: choose {offsets}")
    _check_picture(out)
    scene = _scene(task, config, seed, index, generator)
    with _tools(config) as (simulator, renderer):
        poses = [start_pose(block) for block in scene.blocks]
        picture = renderer.render(poses, scene.camera, scene.appearance, LARGE)
        landscape = compute_landscape(scene, config.reward, simulator)
    with naming(out):
        # By way of Pillow, which writes all that a sheet may be, and matplotlib does not.
        stream = io.BytesIO()
        draw_landscape(scene, picture, landscape).savefig(stream, format="png", dpi=110)
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
    """Film what happens in a test scene after an answer, or after the ideal one.

    Raises:
        UserError: there is no such task or generator, the answer is none or moves the block into
            another, or the file cannot be written.
    """
    task = _find(task_name)
    check_suffix(out)
    _check_place(out)
    scene = _scene(task, config, seed, index, generator)
    action = task.ideal(scene) if answer is None else task.parse(answer_text(answer))
    if isinstance(action, types.Unparseable):
        ideal = words(task.ideal(scene), task.axes)
        raise UserError(f"--answer is '{answer}': {action.reason}; the ideal is '{ideal}'")
    release = task.release(scene, action)
    if release is None:
        raise UserError(f"--answer is '{answer}': the red block does not fit there; move it away")
    with _tools(config) as (simulator, renderer):
        frames = render_video(scene, release, simulator, renderer, LARGE)
    with naming(out):
        write_video(frames, out)
    print(out)


def draw(
    task: Task, config: RunConfig, seed: int, count: int, generator: str = "iid"
) -> Image.Image:
    """The sheet: the questions that are asked, then a cell a scene."""
    scenes = [_scene(task, config, seed, index, generator) for index in range(count)]
    asked = sorted({scene.wording for scene in scenes})
    columns = min(COLUMNS, count)
    rows = -(-count // columns)
    top = len(asked) * LINE + 2 * GAP
    sheet = Image.new("RGB", (columns * CELL_WIDTH + GAP, rows * CELL_HEIGHT + top), BACKGROUND)
    font = ImageFont.load_default(13)
    for line, wording in enumerate(asked):
        question = question_text(task, wording, reasoning=config.model.reasoning)
        ImageDraw.Draw(sheet).text((GAP, GAP + line * LINE), question, "black", font)
    with _tools(config) as (simulator, renderer):
        for place, scene in enumerate(scenes):
            cell = _cell(task, scene, config, simulator, renderer, font)
            row, column = divmod(place, columns)
            sheet.paste(cell, (GAP + column * CELL_WIDTH, top + row * CELL_HEIGHT))
    return sheet


@contextmanager
def naming(out: Path) -> Iterator[None]:
    """Say which file it is that cannot be written.

    Raises:
        UserError: instead of what the system says.
    """
    try:
        yield
    except OSError as error:
        raise UserError(
            f"--out is {out}: cannot be written ({error.strerror or error}); name a file in a "
            "folder that exists and can be written"
        ) from None


def _find(name: str) -> Task:
    if name not in TASKS:
        raise UserError(f"there is no task '{name}': choose {' or '.join(TASKS)}")
    return TASKS[name]


def _check_picture(out: Path) -> None:
    if Image.registered_extensions().get(out.suffix.lower()) not in Image.SAVE:
        raise UserError(f"--out is {out}: end it in .png")
    _check_place(out)


def _check_place(out: Path) -> None:
    """Find out that a file cannot be written before anything is drawn."""
    with naming(out):
        there = out.exists()
        out.open("ab").close()
        if not there:
            out.unlink()


def _scene(task: Task, config: RunConfig, seed: int, index: int, generator: str) -> types.SceneSpec:
    if generator not in GENERATORS:
        raise UserError(f"there is no generator '{generator}': choose {' or '.join(GENERATORS)}")
    settings = GENERATORS[generator](config.environment)
    return make_scene(task, settings, seed, "test", index, generator)


@contextmanager
def _tools(config: RunConfig) -> Iterator[tuple[Simulator, Renderer]]:
    with closing(Simulator()) as simulator, closing(make_renderer(config.environment)) as renderer:
        yield simulator, renderer


def _cell(
    task: Task,
    scene: types.SceneSpec,
    config: RunConfig,
    simulator: Simulator,
    renderer: Renderer,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> Image.Image:
    size = config.environment.image_size
    prompt = make_prompt(task, scene, renderer, size, reasoning=config.model.reasoning)
    (before,) = prompt.images
    outcome = task.act(scene, task.ideal(scene), simulator)
    after = renderer.render(outcome.poses, scene.camera, scene.appearance, size)
    cell = Image.new("RGB", (CELL_WIDTH, CELL_HEIGHT), BACKGROUND)
    cell.paste(_enlarged(before), (0, 0))
    cell.paste(_enlarged(after), (PICTURE + GAP // 2, 0))
    text = f"{scene.index}: {task.target(scene)}  margin {scene.margin:+.2f}"
    if not outcome.success:
        text += "  FAILS"
    ImageDraw.Draw(cell).text((0, PICTURE + 2), text, "black", font)
    return cell


def _enlarged(image: types.Image) -> Image.Image:
    """As large as the sheet shows it, with the model's own pixels visible."""
    return Image.fromarray(image).resize((PICTURE, PICTURE), Image.Resampling.NEAREST)
