import re

from physrl.data.describe import describe, vocabulary
from physrl.environments.palette import COLORS
from physrl.environments.renderer import TinyRenderer
from physrl.tasks import TASKS


def test_descriptions_are_consistent(renderer: TinyRenderer) -> None:
    for index in range(20):
        description = describe(0, index, renderer, 84)
        answers = dict(zip(description.questions, description.answers, strict=True))
        positions = {}
        for question, answer in answers.items():
            if match := re.match(r"Where is the (\w+) block", question):
                x, y = re.findall(r"-?\d+", answer)
                positions[match[1]] = (int(x), int(y))
        assert len(description.questions) == len(answers)
        assert f"<answer>{len(positions)}</answer>" in answers.values()
        for question, answer in answers.items():
            if match := re.match(r"How far is the (\w+) block from the (\w+) block", question):
                x, y = (int(number) for number in re.findall(r"-?\d+", answer))
                first, second = positions[match[1]], positions[match[2]]
                # Each number is rounded separately.
                assert abs(first[0] - second[0] - x) <= 1
                assert abs(first[1] - second[1] - y) <= 1


def test_questions_reveal_neither_tasks_nor_physics() -> None:
    for text in vocabulary():
        assert not re.search(r"fall|stand|stable|move", text, re.IGNORECASE)
        assert all(task.wordings[0] not in text for task in TASKS.values())
    assert len(COLORS) == 7


def test_a_description_is_a_function_of_its_index(renderer: TinyRenderer) -> None:
    first, again = (describe(0, 5, renderer, 84) for _ in range(2))
    assert (first.image == again.image).all()
    assert first.answers == again.answers
    assert (describe(0, 6, renderer, 84).image != first.image).any()
