from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from physrl.config.environment import EnvironmentConfig, GeneratorName
from physrl.environments.generators import GENERATORS
from physrl.environments.renderer import make_renderer
from physrl.errors import DataError
from physrl.evaluation.requests import cell_source
from physrl.evaluation.results import Answer
from physrl.evaluation.specs import Condition
from physrl.report.gallery import choose_spread, make_gallery, rebuild_scene
from physrl.report.report import GalleryItem
from physrl.scene_source import prepare
from physrl.tasks import TASKS
from physrl.tasks.task import make_scene
from physrl.types import Verdict
from tests.support.answers import make_answer, make_verdict_answer
from tests.support.measurements import PLACE, make_measurement

SETTINGS = EnvironmentConfig()


def gallery(
    policy: str,
    answers: tuple[Answer, ...],
    condition: Condition = PLACE,
    **settings: Any,
) -> tuple[GalleryItem, ...]:
    measured = make_measurement(policy, answers, condition, **settings)
    return make_gallery([(policy, measured.cell, measured.result)])


def test_scene_is_rebuilt_from_its_id() -> None:
    scene = make_scene(TASKS["place"], SETTINGS, 3, "test", 17)
    assert rebuild_scene("place/test/iid/3/17", SETTINGS) == scene


def test_scene_of_a_named_set_is_rebuilt_from_its_id() -> None:
    tall = GENERATORS["tall"](SETTINGS)
    scene = make_scene(TASKS["place"], tall, 3, "test", 17, "tall")
    assert rebuild_scene(scene.scene_id, SETTINGS) == scene


@pytest.mark.parametrize(
    "scene_id",
    [
        "photo.png",
        "place/test/3/1",
        "juggle/test/iid/3/1",
        "place/x/iid/3/1",
        "place/test/x/3/1",
    ],
)
def test_an_invalid_id_is_named(scene_id: str) -> None:
    with pytest.raises(DataError, match=scene_id):
        rebuild_scene(scene_id, SETTINGS)


def test_examples_alternate_between_kinds() -> None:
    success, failure = make_answer(1, True), make_answer(2, False)
    illegal = replace(failure, status="illegal")
    answers = [success, success, success, failure, illegal]
    assert choose_spread(answers, 3) == (success, failure, illegal)
    assert choose_spread(answers, 4) == (success, failure, illegal, success)
    assert choose_spread([failure], 3) == (failure,)
    assert choose_spread([], 3) == ()


def test_scenes_are_shown_with_their_outcome() -> None:
    scene = make_scene(TASKS["place"], SETTINGS, 0, "test", 0)
    right = replace(make_answer(0, True), completion=TASKS["place"].target(scene))
    inside = replace(make_answer(0, False), completion="<answer>0 -300</answer>")
    unparseable = replace(make_answer(0, False), completion="I cannot say.", status="unparseable")
    placed, illegal, unparsed = gallery("grpo", (right, inside, unparseable))
    assert placed.before.shape == (84, 84, 3)
    assert placed.after is not None
    assert placed.after.shape == (84, 84, 3)
    assert not np.array_equal(placed.before, placed.after)
    assert placed.note.startswith("the taller tower stands")
    assert "0.0" in placed.note
    assert "Move the red block" in placed.question
    assert (placed.policy, placed.success, placed.reward) == ("grpo", True, 1.25)
    assert illegal.after is None
    assert "overlap" in illegal.note
    assert unparsed.after is None


def test_a_falling_tower_is_shown_after_its_fall() -> None:
    index = next(
        i for i in range(20) if make_scene(TASKS["stability"], SETTINGS, 0, "test", i).margin < 0
    )
    scene = make_scene(TASKS["stability"], SETTINGS, 0, "test", index)
    assert TASKS["stability"].ideal(scene) == Verdict(True)
    answer = make_verdict_answer(scene.scene_id, True, True)
    (item,) = gallery("sft", (answer,), Condition("stability"), reasoning=True)
    assert item.note.startswith("blocks fell")
    assert "Think first" in item.question


def test_photographs_and_sampled_answers_are_left_out() -> None:
    photo = make_verdict_answer("001.png", True, True)
    sampled = Condition("place", decoding="sampled")
    assert gallery("base", (photo,), Condition("stability", "real")) == ()
    assert gallery("base", (make_answer(0, True),), sampled) == ()


def test_later_moves_are_omitted_because_earlier_ones_are_unknown() -> None:
    answer = replace(make_answer(), scene_id="build/test/iid/0/0", completion="<answer>5</answer>")
    assert gallery("base", (answer,), Condition("build")) == ()


@pytest.mark.parametrize(
    ("test_set", "environment"),
    [
        ("iid", EnvironmentConfig(image_size=56, camera="held_out")),
        ("camera", SETTINGS),
        ("wording", SETTINGS),
        ("iid", EnvironmentConfig(wording="held_out")),
    ],
)
def test_what_is_drawn_is_what_the_model_saw(
    test_set: GeneratorName, environment: EnvironmentConfig
) -> None:
    measured = make_measurement(
        condition=Condition("place", test_set), environment=environment, reasoning=True
    )
    source = cell_source(measured.cell)
    with closing(make_renderer(source.environment)) as renderer:
        (scene,), (prompt,) = prepare(source, [0], renderer)
    (item,) = gallery(
        "base",
        (make_answer(0, scene_id=scene.scene_id),),
        Condition("place", test_set),
        environment=environment,
        reasoning=True,
    )
    assert item.question == prompt.text
    assert np.array_equal(item.before, prompt.image)
