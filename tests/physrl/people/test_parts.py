from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from physrl.config.people import ExperimentConfig
from physrl.data.photo_image import decode_photo
from physrl.environments.palette import RED
from physrl.environments.projection import corners, project
from physrl.errors import ConfigError
from physrl.evaluation.requests import cell_source
from physrl.evaluation.specs import Condition, StudyPlan
from physrl.people.parts import Part, make_parts, people_cells
from physrl.people.silhouette import red_silhouette
from physrl.scene_source import draw_scene
from physrl.tasks import TASKS
from physrl.tasks.answers import format_action
from tests.support.people import make_people_parts, write_people_study, write_photographs


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("people")


@pytest.fixture(scope="module")
def plan(folder: Path) -> StudyPlan:
    return write_people_study(folder)[0]


@pytest.fixture(scope="module")
def parts(plan: StudyPlan, folder: Path) -> tuple[Part, ...]:
    return make_people_parts(plan, folder)


def test_a_part_is_made_of_every_task_with_a_single_attempt(parts: tuple[Part, ...]) -> None:
    asked = [(part.condition.task, part.condition.test_set, part.axes) for part in parts]
    assert asked == [
        ("stability", "iid", ()),
        ("place", "iid", ("x", "y")),
        ("place_x", "iid", ("x",)),
        ("stability", "real", ()),
    ]


def test_lists_are_the_studys_own_test_scenes_once_each(
    parts: tuple[Part, ...], plan: StudyPlan
) -> None:
    for part in parts[:3]:
        source = cell_source(people_cells(plan)[part.condition])
        shown = [item.scene for items in part.lists for item in items]
        assert sorted(shown) == [source.scene_id(index) for index in range(8)]
        assert [len(items) for items in part.lists] == [4, 4]
        assert {item.scene for item in part.lists[0]} == {source.scene_id(i) for i in range(4)}
    assert sorted(item.scene for item in parts[3].lists[0]) == [f"p{n}.png" for n in range(4)]


def test_only_practice_and_catch_trials_carry_an_answer(parts: tuple[Part, ...]) -> None:
    for part in parts:
        assert all(item.answer is None for items in part.lists for item in items)
        assert all("/test/" not in item.scene for item in part.practice)
        assert len({item.file for item in part.items}) >= 8 if part.axes else True
    _, place, place_x, photographs = parts
    assert [item.answer for item in place.catches] == ["-60 80", "60 80"]
    assert [item.answer for item in place_x.catches] == ["-60", "60"]
    assert [item.answer for item in photographs.catches] == ["Yes", "No"]
    assert "Yes" in photographs.catches[0].question


def test_practice_knows_the_ideal_answer(parts: tuple[Part, ...], plan: StudyPlan) -> None:
    source = replace(cell_source(people_cells(plan)[Condition("place")]), split="warm")
    task = TASKS["place"]
    for index, item in enumerate(parts[1].practice):
        assert item.answer == format_action(task.ideal(draw_scene(source, index)), task.axes)


def test_questions_are_put_to_people(parts: tuple[Part, ...]) -> None:
    for part in parts:
        for item in part.items:
            assert "<answer>" not in item.question
            assert "Answer Yes or No." not in item.question
    assert parts[1].lists[0][0].question == (
        "Move the red block on top of the tower so that all stand."
    )


def test_images_have_the_studys_size_or_another(plan: StudyPlan) -> None:
    config = ExperimentConfig(tasks=("stability",), scenes=2, practice=0, catches=0, image_size=140)
    (part,) = make_parts(plan, config, ())
    image = decode_photo(part.lists[0][0].png, "image")
    assert image.shape == (140, 140, 3)


def test_a_silhouette_moves_as_the_camera_sees_the_block(plan: StudyPlan) -> None:
    rng = np.random.default_rng(0)
    source = cell_source(people_cells(plan)[Condition("place")])
    for index in range(8):
        scene = draw_scene(source, index)
        shape = red_silhouette(scene)
        block = next(each for each in reversed(scene.blocks) if each.color == RED)
        x, y = rng.uniform(-3, 3, 2)
        columns, rows = project(
            scene.camera, corners([replace(block, x=block.x + x, y=block.y + y)])
        )
        moved = np.array(shape.corners) + x * np.array(shape.right) + y * np.array(shape.up)
        assert np.allclose(moved[:, 0] / moved[:, 2], columns, atol=1e-4)
        assert np.allclose(moved[:, 1] / moved[:, 2], rows, atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"scenes": 6, "lists": 2}, "scenes x lists is 6 x 2"),
        ({"tasks": ("judge",)}, "tasks has judge"),
        ({"tasks": ("place_closed_loop",)}, "tasks has place_closed_loop"),
        ({"test_sets": ("tall",)}, "test_sets has tall"),
        ({"test_sets": ("real",)}, "real_images is not set"),
    ],
)
def test_what_the_study_lacks_is_refused(
    changes: dict[str, object], named: str, plan: StudyPlan
) -> None:
    config = ExperimentConfig.model_validate({"scenes": 2} | changes)
    with pytest.raises(ConfigError, match=named):
        make_parts(plan, config, ())


def test_other_photographs_are_refused(plan: StudyPlan, tmp_path: Path) -> None:
    others = write_photographs(tmp_path / "others", 6)
    with pytest.raises(ConfigError, match="not the photographs of the study"):
        make_parts(plan, ExperimentConfig(test_sets=("real",)), others)
