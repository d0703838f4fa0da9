"""A small study with photographs, and made-up sessions of people in its experiment."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from physrl.config.people import ExperimentConfig
from physrl.config.study import load_study_config
from physrl.data.photos import Photo, load_photos
from physrl.evaluation.cells import CellStore, open_cell_store
from physrl.evaluation.plan import plan_study
from physrl.evaluation.specs import StudyPlan
from physrl.people.experiment import FORMAT
from physrl.people.parts import Item, Part, make_parts

SCENES = 4
EXPERIMENT = ExperimentConfig(scenes=SCENES, lists=2, test_sets=("iid", "real"))


def write_photographs(folder: Path, count: int = 4) -> tuple[Photo, ...]:
    """Write photographs of noise with labels, of which every second fell."""
    folder.mkdir()
    rng, lines = np.random.default_rng(0), ["file,falls"]
    for number in range(count):
        pixels = rng.integers(0, 255, (28, 28, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"p{number}.png")
        lines.append(f"p{number}.png,{number % 2}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return load_photos(folder)


def write_people_study(folder: Path, *overrides: str) -> tuple[StudyPlan, CellStore]:
    """Write the plan of a study of verdicts and of placing into a store; nothing is trained."""
    photos = folder / "photos"
    write_photographs(photos)
    given = [
        "name=mine",
        "grid.tasks=[place]",
        "grid.methods={grpo: {}}",
        "grid.seeds=[0]",
        "evaluation.tasks=[stability, place, place_x, place_closed_loop]",
        "evaluation.scenes=8",
        "evaluation.test_sets=[iid, real]",
        f"evaluation.real_images={photos}",
        "base.model.max_images=4",
    ]
    plan = plan_study(load_study_config(None, [*given, *overrides]))
    store = open_cell_store(str(folder / "store"))
    store.save_plan(plan)
    return plan, store


def make_people_parts(plan: StudyPlan, folder: Path) -> tuple[Part, ...]:
    """Make the parts of the study's experiment."""
    return make_parts(plan, EXPERIMENT, load_photos(folder / "photos"))


def make_session(
    parts: Sequence[Part],
    person: str,
    answer: Callable[[Part, Item], str],
    *,
    chosen: int = 0,
    rt: float = 900.0,
    catch: Callable[[Item], str] = lambda item: item.answer or "",
) -> list[dict[str, Any]]:
    """Make the rows that the pages record of a person, as jsPsych writes them."""
    shared = {"format": FORMAT, "study": "mine", "person": person, "list": chosen, "order": 3}
    planned = sum(len(part.lists[chosen % len(part.lists)]) for part in parts)
    rows: list[dict[str, Any]] = [
        {"rt": 5000, "response": 0, "trial_type": "html-button-response", "role": "page"}
    ]
    for part in parts:
        listed = [(item, "practice") for item in part.practice]
        listed += [(item, "catch") for item in part.catches]
        listed += [(item, "test") for item in part.lists[chosen % len(part.lists)]]
        for item, role in listed:
            given = catch(item) if role == "catch" else answer(part, item)
            rows.append(
                {
                    "rt": rt,
                    "answer": given,
                    "trial_type": "tower-trial",
                    "role": role,
                    "task": part.condition.task,
                    "test_set": part.condition.test_set,
                    "key": part.key,
                    "scene": item.scene,
                    "expected": item.answer,
                }
            )
    return [
        row | shared | {"planned": planned, "trial_index": number, "time_elapsed": 1000 * number}
        for number, row in enumerate(rows)
    ]


def guesses(seed: int) -> Callable[[Part, Item], str]:
    """Make the answers of a person who tosses coins."""
    draw = random.Random(seed)

    def answer(part: Part, item: Item) -> str:
        if not part.axes:
            return draw.choice(("Yes", "No"))
        return " ".join(str(draw.randrange(-300, 300)) for _ in part.axes)

    return answer
