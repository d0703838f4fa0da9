"""A contact sheet: scenes as the model sees them, the ideal answer, and what happens after."""

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from physrl import types
from physrl.config import RunConfig
from physrl.environments.renderer import Renderer, make_renderer
from physrl.environments.simulator import Simulator
from physrl.errors import UserError
from physrl.tasks import TASKS
from physrl.tasks.task import Task, make_prompt, make_scene, question_text

PICTURE = 200
GAP = 8
LINE = 18
COLUMNS = 3
BACKGROUND = "gainsboro"
CELL_WIDTH = 2 * PICTURE + 2 * GAP
CELL_HEIGHT = PICTURE + LINE + 2 * GAP


def run(task_name: str, config: RunConfig, *, seed: int, count: int, out: Path) -> None:
    """Draw the first `count` test scenes of a task into one picture file.

    Raises:
        UserError: there is no such task, or the file cannot be written.
    """
    if task_name not in TASKS:
        raise UserError(f"there is no task '{task_name}': choose {' or '.join(TASKS)}")
    if Image.registered_extensions().get(out.suffix.lower()) not in Image.SAVE:
        raise UserError(f"--out is {out}: end it in .png")
    sheet = draw(TASKS[task_name], config, seed, count)
    try:
        sheet.save(out)
    except OSError as error:
        raise UserError(
            f"--out is {out}: cannot be written ({error.strerror or error}); name a file in a "
            "folder that exists and can be written"
        ) from None
    print(out)


def draw(task: Task, config: RunConfig, seed: int, count: int) -> Image.Image:
    """The sheet: a line with the question, then a cell a scene."""
    columns = min(COLUMNS, count)
    rows = -(-count // columns)
    size = (columns * CELL_WIDTH + GAP, rows * CELL_HEIGHT + LINE + 2 * GAP)
    sheet = Image.new("RGB", size, BACKGROUND)
    font = ImageFont.load_default(13)
    question = question_text(task, reasoning=config.model.reasoning)
    ImageDraw.Draw(sheet).text((GAP, GAP), question, "black", font)
    simulator, renderer = Simulator(), make_renderer(config.environment)
    for index in range(count):
        scene = make_scene(task, config.environment, seed, "test", index)
        cell = _cell(task, scene, config, simulator, renderer, font)
        row, column = divmod(index, columns)
        sheet.paste(cell, (GAP + column * CELL_WIDTH, LINE + 2 * GAP + row * CELL_HEIGHT))
    simulator.close()
    renderer.close()
    return sheet


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
