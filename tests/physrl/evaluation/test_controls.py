import numpy as np
import pytest

from physrl.config.study import load_study_config
from physrl.data.photos import Photo
from physrl.environments.renderer import TinyRenderer
from physrl.evaluation.cell_plan import make_cell
from physrl.evaluation.controls import _guesses, evaluate_control
from physrl.evaluation.plan import plan_study
from physrl.evaluation.requests import cell_sampling, cell_source, photo_prompts
from physrl.evaluation.rule_names import rule_names
from physrl.evaluation.specs import CellSpec, Condition
from physrl.scene_source import prepare
from physrl.tasks import TASKS
from physrl.types import Image

SCENES = 16
GREY: Image = np.full((8, 8, 3), 90, np.uint8)
PHOTOS = tuple(Photo(f"{n}.png", n % 2 == 0, None, GREY) for n in range(40))


@pytest.fixture(scope="module")
def cells() -> tuple[CellSpec, ...]:
    overrides = [
        "grid.tasks=[place]",
        "grid.methods={grpo: {}}",
        "base.model.max_images=5",
        f"evaluation.scenes={SCENES}",
        "evaluation.prompting=[{}, {shots: 2, decoding: sampled}]",
        "evaluation.test_sets=[iid, tall]",
    ]
    return plan_study(load_study_config(None, overrides)).cells


def find(cells: tuple[CellSpec, ...], kind: str, condition: Condition) -> CellSpec:
    return next(c for c in cells if (c.subject.kind, c.condition) == (kind, condition))


def photographs(cell: CellSpec) -> CellSpec:
    return make_cell(cell.subject, Condition("stability", "real"), cell.settings)


@pytest.mark.parametrize("task", [name for name in TASKS if name != "place_closed_loop"])
def test_physics_is_the_ceiling_and_guessing_is_not(task: str, cells: tuple[CellSpec, ...]) -> None:
    condition = Condition(task)  # type: ignore[arg-type]
    exact = evaluate_control(find(cells, "physics", condition), ())
    guessed = evaluate_control(find(cells, "guesser", condition), ())
    assert [answer.scene_id for answer in exact.answers] == [
        answer.scene_id for answer in guessed.answers
    ]
    assert exact.count.total == SCENES
    assert exact.count.successes >= SCENES - 1
    assert guessed.count.rate < 0.85


def test_guesses_are_a_function_of_their_cell(cells: tuple[CellSpec, ...]) -> None:
    cell = find(cells, "guesser", Condition("place_x"))
    assert evaluate_control(cell, ()) == evaluate_control(cell, ())


def test_a_guesser_guesses_anew_at_each_attempt(cells: tuple[CellSpec, ...]) -> None:
    cell = find(cells, "guesser", Condition("place_closed_loop"))
    guesses = _guesses(cell, TASKS["place_closed_loop"], 0)
    assert len({next(guesses) for _ in range(3)}) == 3
    assert evaluate_control(cell, ()).count.total == SCENES


def test_a_rule_is_measured_on_the_scenes_of_the_models(cells: tuple[CellSpec, ...]) -> None:
    find_rule = {
        cell.subject.name: cell
        for cell in cells
        if cell.subject.kind == "rule" and cell.condition == Condition("place")
    }
    assert set(find_rule) == set(rule_names("place"))
    aligned = evaluate_control(find_rule["aligner"], ())
    assert aligned.count.total == SCENES
    assert 3 <= aligned.count.successes <= SCENES - 3
    task = TASKS["place"]
    for answer in aligned.answers:
        assert answer.status == "settled"
        offset = task.parse(answer.completion)
        assert answer.ideal_offset is not None
        assert offset.y == answer.ideal_offset[1]


def test_photographs_can_only_be_guessed_about(
    cells: tuple[CellSpec, ...], renderer: TinyRenderer
) -> None:
    guesser = photographs(find(cells, "guesser", Condition("stability")))
    guessed = evaluate_control(guesser, PHOTOS)
    assert [answer.scene_id for answer in guessed.answers] == [photo.file for photo in PHOTOS]
    assert {answer.answer for answer in guessed.answers} == {"Yes", "No"}
    physics = photographs(find(cells, "physics", Condition("stability")))
    with pytest.raises(ValueError, match="photographs"):
        evaluate_control(physics, PHOTOS)
    model = find(cells, "base", Condition("stability"))
    with pytest.raises(ValueError, match="base"):
        evaluate_control(model, ())
    shown = make_cell(model.subject, Condition("stability", "real", shots=2), model.settings)
    prompts = photo_prompts(shown, PHOTOS[:2], renderer)
    assert [len(prompt.images) for prompt in prompts] == [3, 3]
    assert np.array_equal(prompts[1].images[2], GREY)


def test_a_cell_is_asked_as_its_condition_says(
    cells: tuple[CellSpec, ...], renderer: TinyRenderer
) -> None:
    condition = Condition("place", "tall", shots=2, decoding="sampled")
    cell = find(cells, "trained", condition)
    source = cell_source(cell)
    (scene,), (prompt,) = prepare(source, [5], renderer)
    assert scene.scene_id == "place/test/tall/0/5"
    assert len(scene.blocks) > 4
    assert len(prompt.images) == 3
    sampling = cell_sampling(cell)
    assert (sampling.temperature, sampling.group_size, sampling.seed) == (1.0, 1, 2**31)
    plain = find(cells, "trained", Condition("place"))
    assert cell_sampling(plain).temperature == 0
    blank = find(cells, "trained", Condition("place", images="blank"))
    assert cell_source(blank).blank
