"""A contact sheet: scenes before and after their ideal answers."""

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from physrl import types
from physrl.config import RunConfig
from physrl.environments.renderer import Renderer
from physrl.environments.simulator import Simulator
from physrl.tasks.plan import ideal_plan
from physrl.tasks.task import Task, make_prompt, question_text

SIDE = 200
"""Pixels of an image's side."""
GAP = 8
LINE = 18
COLUMNS = 3
BACKGROUND = "gainsboro"
TILE_WIDTH = 2 * SIDE + 2 * GAP
TILE_HEIGHT = SIDE + LINE + 2 * GAP


def draw_sheet(
    task: Task,
    scenes: Sequence[types.SceneSpec],
    config: RunConfig,
    simulator: Simulator,
    renderer: Renderer,
) -> Image.Image:
    """Draw the wordings of the question, then a tile for each scene."""
    wordings = sorted({scene.wording for scene in scenes})
    columns = min(COLUMNS, len(scenes))
    rows = -(-len(scenes) // columns)
    top = len(wordings) * LINE + 2 * GAP
    sheet = Image.new("RGB", (columns * TILE_WIDTH + GAP, rows * TILE_HEIGHT + top), BACKGROUND)
    font = ImageFont.load_default(13)
    for line, wording in enumerate(wordings):
        question = question_text(task, wording, reasoning=config.model.reasoning)
        ImageDraw.Draw(sheet).text((GAP, GAP + line * LINE), question, "black", font)
    for position, scene in enumerate(scenes):
        tile = _draw_tile(task, scene, config, simulator, renderer)
        row, column = divmod(position, columns)
        sheet.paste(tile, (GAP + column * TILE_WIDTH, top + row * TILE_HEIGHT))
    return sheet


def _draw_tile(
    task: Task,
    scene: types.SceneSpec,
    config: RunConfig,
    simulator: Simulator,
    renderer: Renderer,
) -> Image.Image:
    size = config.environment.image_size
    prompt = make_prompt(task, scene, renderer, size, reasoning=config.model.reasoning)
    (before,) = prompt.images
    *_, last = ideal_plan(task, scene, simulator)
    outcome = last.outcome
    after = renderer.render(outcome.poses, scene.camera, scene.appearance, size)
    tile = Image.new("RGB", (TILE_WIDTH, TILE_HEIGHT), BACKGROUND)
    tile.paste(_enlarge(before), (0, 0))
    tile.paste(_enlarge(after), (SIDE + GAP // 2, 0))
    text = f"{scene.index}: {task.target(scene)}  margin {scene.margin:+.2f}"
    if not outcome.success:
        text += "  FAILS"
    ImageDraw.Draw(tile).text((0, SIDE + 2), text, "black", ImageFont.load_default(13))
    return tile


def _enlarge(image: types.Image) -> Image.Image:
    """Scale an image to the sheet's size, with the pixels that the model sees."""
    return Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.NEAREST)
