"""What the tiny base learns from: true descriptions, and no physics."""

import re

from physrl.data.describe import describe, vocabulary
from physrl.environments.palette import COLORS
from physrl.environments.renderer import TinyRenderer
from physrl.tasks import TASKS


def test_descriptions_are_consistent(renderer: TinyRenderer) -> None:
    for index in range(20):
        one = describe(0, index, renderer, 84)
        said = dict(zip(one.questions, one.answers, strict=True))
        places = {}
        for question, answer in said.items():
            if match := re.match(r"Where is the (\w+) block", question):
                x, y = re.findall(r"-?\d+", answer)
                places[match[1]] = (int(x), int(y))
        assert len(one.questions) == len(said)
        assert f"<answer>{len(places)}</answer>" in said.values()
        for question, answer in said.items():
            if match := re.match(r"How far is the (\w+) block from the (\w+) block", question):
                x, y = (int(number) for number in re.findall(r"-?\d+", answer))
                first, second = places[match[1]], places[match[2]]
                # Each number is rounded on its own.
                assert abs(first[0] - second[0] - x) <= 1
                assert abs(first[1] - second[1] - y) <= 1


def test_no_question_is_a_tasks_question_or_speaks_of_falling() -> None:
    for text in vocabulary():
        assert not re.search(r"fall|stand|stable|move", text, re.IGNORECASE)
        assert all(task.wordings[0] not in text for task in TASKS.values())
    assert len(COLORS) == 7


def test_a_picture_is_a_function_of_its_index(renderer: TinyRenderer) -> None:
    first, again = (describe(0, 5, renderer, 84) for _ in range(2))
    assert (first.image == again.image).all()
    assert first.answers == again.answers
    assert (describe(0, 6, renderer, 84).image != first.image).any()
