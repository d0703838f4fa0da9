import re
from collections.abc import Callable
from xml.etree import ElementTree

import pytest

from physrl.data.photos import HumanAccuracy
from physrl.evaluation.results import Answered, PolicyResult, TaskResult
from physrl.report import figures

Policies = tuple[PolicyResult, ...]
PlaceAnswer = Callable[[int, bool], Answered]
VerdictAnswer = Callable[[str, bool | None, bool], Answered]
FIGURES: dict[str, Callable[[Policies], str]] = {
    "accuracy": lambda policies: figures.accuracy_bars(policies, HumanAccuracy(4, 6, 0.62)),
    "curves": lambda _: figures.learning_curves(
        {"grpo": [{"step": 1, "reward": 0.5}, {"step": 2, "task/place/accuracy": 0.1}]}
    ),
    "confusion": lambda policies: figures.confusion_matrices(policies),
    "offsets-place": lambda policies: figures.offset_scatter(policies, "place", ("x", "y")),
}


@pytest.mark.parametrize("name", FIGURES)
def test_figure_is_svg_in_the_pages_ink_that_refers_to_itself_only(
    name: str, policies: Policies
) -> None:
    svg = FIGURES[name](policies)
    assert ElementTree.fromstring(svg).tag.endswith("svg")
    assert "currentColor" in svg
    assert figures.INK not in svg
    ids = set(re.findall(r'id="([^"]+)"', svg))
    assert all(each.startswith(f"{name}-") for each in ids)
    assert set(re.findall(r'(?:url\(|href=")#([^")]+)', svg)) <= ids


def test_colors_do_not_depend_on_the_other_policies() -> None:
    alone = figures.policy_colors(["grpo"])["grpo"]
    among = figures.policy_colors(["base", "other", "grpo", "sft"])
    assert alone == among["grpo"]
    assert len(set(among.values())) == 4


def test_policy_that_never_answered_place_is_drawn(
    place_answer: PlaceAnswer, verdict_answer: VerdictAnswer
) -> None:
    mute = verdict_answer("stability/test/0/0", None, True)
    nothing = PolicyResult("mute", (TaskResult("place", "greedy", (mute,)),))
    placed = PolicyResult("one", (TaskResult("place", "sampled", (place_answer(0, True),)),))
    assert "<svg" in figures.offset_scatter([nothing, placed], "place", ("x", "y"))


def test_one_number_has_one_row(place_answer: PlaceAnswer) -> None:
    answers = (place_answer(0, True), place_answer(1, False))
    policy = PolicyResult("one", (TaskResult("place_x", "greedy", answers),))
    drawn = figures.offset_scatter([policy], "place_x", ("x",))
    assert 'id="offsets-place_x-axes_1"' in drawn
    assert 'id="offsets-place_x-axes_2"' not in drawn


def test_many_tasks_fill_rows_of_panels(verdict_answer: VerdictAnswer) -> None:
    answer = verdict_answer("a", True, True)
    tasks = figures.TASKS[:5]
    results = tuple(TaskResult(task, "greedy", (answer,)) for task in tasks)
    drawn = figures.accuracy_bars([PolicyResult("one", results)], None)
    assert len(set(re.findall(r'id="accuracy-axes_\d+"', drawn))) == 5


def test_confusion_counts_by_hand(verdict_answer: VerdictAnswer) -> None:
    answers = (
        *[verdict_answer("a", True, True)] * 31,
        *[verdict_answer("a", None, True)] * 17,
        *[verdict_answer("a", True, False)] * 23,
    )
    assert figures.confusion_table(answers).tolist() == [[31, 0, 17], [23, 0, 0]]
