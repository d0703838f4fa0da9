import random

from jobs.watch.comparison import compare_answers
from physrl.evaluation.results import Answer, CellResult, compare
from physrl.evaluation.specs import Condition
from tests.support.answers import make_answer

PLACE = Condition("place")


def result(*answers: Answer) -> CellResult:
    return CellResult(PLACE, answers)


def test_scenes_are_paired_by_their_id_and_grouped_by_their_properties() -> None:
    first = result(
        make_answer(0, True, blocks=2), make_answer(1, False, blocks=2), make_answer(2, True)
    )
    second = result(
        make_answer(2, True), make_answer(1, True, blocks=2), make_answer(0, False, blocks=2),
        make_answer(7, True),
    )  # fmt: skip
    found = compare_answers([first], [second])
    assert [pair.outcome for pair in found.pairs] == ["first", "second", "both"]
    assert [pair.first.scene_id for pair in found.select("")] == [
        "place/test/iid/0/0", "place/test/iid/0/1",
    ]  # fmt: skip
    assert found.select("neither") == []
    groups = dict(found.groups)
    assert list(groups) == ["blocks"]  # the others are the same in all scenes
    two, three = groups["blocks"]
    assert (two.name, two.scenes, two.first_rate, two.second_rate) == ("2", 2, 0.5, 0.5)
    assert (two.first_only, two.second_only, three.scenes) == (1, 1, 1)


def test_lengths_are_divided_into_ranges_that_hold_every_scene() -> None:
    draw = random.Random(0)
    for _ in range(50):
        margins = [draw.choice([draw.gauss(0, 1), 0.5, None]) for _ in range(draw.randrange(1, 60))]
        first = result(
            *(make_answer(n, draw.random() < 0.5, margin=m) for n, m in enumerate(margins))
        )
        second = result(*(make_answer(n, draw.random() < 0.5) for n in range(len(margins))))
        found = compare_answers([first], [second])
        assert found.difference == compare(first, second)
        for _, groups in found.groups:
            assert sum(group.first_only for group in groups) <= found.counts["first"]
            assert len({group.name for group in groups}) == len(groups)
        by_margin = dict(found.groups).get("margin", ())
        if by_margin:
            known = sum(margin is not None for margin in margins)
            assert sum(group.scenes for group in by_margin) == known


def test_policies_without_a_shared_scene_are_not_compared() -> None:
    found = compare_answers([result(make_answer(0))], [result(make_answer(1))])
    assert (found.pairs, found.difference, found.groups) == ((), None, ())
    assert compare_answers([], []).pairs == ()
