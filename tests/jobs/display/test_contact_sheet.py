from jobs.display.contact_sheet import LINE, draw_sheet
from physrl.config import load_config
from physrl.environments.renderer import TinyRenderer
from physrl.environments.simulator import Simulator
from physrl.tasks import TASKS
from physrl.tasks.task import make_scene


def test_a_sheet_lists_every_wording(simulator: Simulator, renderer: TinyRenderer) -> None:
    task, heights = TASKS["place"], {}
    for wording in ("seen", "held_out"):
        config = load_config(None, [f"environment.wording={wording}"])
        scenes = [make_scene(task, config.environment, 0, "test", index) for index in range(9)]
        sheet = draw_sheet(task, scenes, config, simulator, renderer)
        heights[wording] = sheet.size[1]
    assert heights["held_out"] == heights["seen"] + 2 * LINE
