from dataclasses import replace

import numpy as np
import pytest

from physrl.config.environment import EnvironmentConfig
from physrl.environments.generators import GENERATORS
from physrl.errors import DataError
from physrl.evaluation.results import CellResult, PolicyResult
from physrl.evaluation.specs import Condition
from physrl.report.gallery import choose_spread, make_gallery, rebuild_scene
from physrl.tasks import TASKS
from physrl.tasks.task import make_scene
from physrl.types import Verdict
from tests.support.answers import make_answer, make_verdict_answer

SETTINGS = EnvironmentConfig()


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
    policy = PolicyResult("grpo", (CellResult(Condition("place"), (right, inside, unparseable)),))
    placed, illegal, unparsed = make_gallery([policy], SETTINGS, reasoning=False)
    assert placed.before.shape == (224, 224, 3)
    assert placed.after is not None
    assert placed.after.shape == (224, 224, 3)
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
    policy = PolicyResult("sft", (CellResult(Condition("stability"), (answer,)),))
    (item,) = make_gallery([policy], SETTINGS, reasoning=True)
    assert item.note.startswith("blocks fell")
    assert "Think first" in item.question


def test_photographs_and_sampled_answers_are_left_out() -> None:
    photo = make_verdict_answer("001.png", True, True)
    results = (
        CellResult(Condition("stability", "real"), (photo,)),
        CellResult(Condition("place", decoding="sampled"), (make_answer(0, True),)),
    )
    assert make_gallery([PolicyResult("base", results)], SETTINGS, reasoning=False) == ()


def test_later_moves_are_omitted_because_earlier_ones_are_unknown() -> None:
    answer = replace(make_answer(), scene_id="build/test/iid/0/0", completion="<answer>5</answer>")
    result = CellResult(Condition("build"), (answer,))
    assert make_gallery([PolicyResult("base", (result,))], SETTINGS, reasoning=False) == ()
