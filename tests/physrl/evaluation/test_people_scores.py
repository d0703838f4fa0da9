import numpy as np
import pytest

from physrl.evaluation.people import PeopleGroup, PersonAnswer
from physrl.evaluation.people_scores import (
    agreement,
    agreement_with_people,
    halves,
    noise_ceiling,
    people_success,
    successes_of,
)
from physrl.evaluation.specs import Condition
from tests.support.answers import make_answer

PLACE = Condition("place")


def make_group(successes: list[list[int | None]]) -> PeopleGroup:
    """Make a group of persons x scenes; None for scenes that a person did not see."""
    answers = [
        PersonAnswer(person, PLACE, make_answer(scene, bool(success)), 1.0)
        for person, row in enumerate(successes, 1)
        for scene, success in enumerate(row)
        if success is not None
    ]
    return PeopleGroup("people", tuple(answers), {})


def test_success_is_the_mean_over_persons_who_saw_other_scenes() -> None:
    rate = people_success(make_group([[1, 1, None, None], [None, None, 1, 0], [0, 1, 1, 0]]), PLACE)
    assert rate is not None
    assert rate.value == pytest.approx((1 + 0.5 + 0.5) / 3)
    assert 0 <= rate.low < rate.value < rate.high <= 1
    assert rate.over == "seeds and scenes"
    assert people_success(make_group([[1]]), Condition("stability")) is None


def test_an_interval_of_perfect_people_is_not_of_width_0() -> None:
    rate = people_success(make_group([[1] * 8] * 3), PLACE)
    assert rate is not None
    assert rate.value == rate.high == 1
    assert rate.low < 0.7


def test_intervals_hold_the_mean_of_other_persons_and_scenes() -> None:
    rng, held = np.random.default_rng(1), 0
    for _ in range(200):
        hard, able = rng.normal(0, 0.8, (1, 24)), rng.normal(0.5, 0.6, (12, 1))
        answers = rng.random((12, 24)) < 1 / (1 + np.exp(-(able + hard)))
        rate = people_success(make_group(answers.astype(int).tolist()), PLACE)
        assert rate is not None
        truth = np.mean(1 / (1 + np.exp(-(rng.normal(0.5, 1.0, 100_000)))))
        held += rate.low <= truth <= rate.high
    assert held >= 186


def test_agreement_needs_eight_shared_scenes() -> None:
    first = {str(n): float(n % 2) for n in range(8)}
    assert agreement(first, first) == 1
    assert agreement(first, {n: 1 - s for n, s in first.items()}) == -1
    assert agreement(first, {str(n): 1.0 for n in range(7)}) is None
    assert agreement(dict.fromkeys(first, 1.0), dict.fromkeys(first, 1.0)) is None


def test_the_ceiling_of_equal_people_is_1_and_of_coin_tossers_near_0() -> None:
    pattern = [1, 0] * 8
    equal = halves(make_group([pattern] * 6), PLACE)
    assert noise_ceiling(equal) == 1
    model = successes_of([make_answer(n, bool(s)) for n, s in enumerate(pattern)])
    assert agreement_with_people(model, equal) == 1
    tosses = np.random.default_rng(0).integers(0, 2, (20, 200)).tolist()
    ceiling = noise_ceiling(halves(make_group(tosses), PLACE))
    assert ceiling is not None
    assert abs(ceiling) < 0.1
    assert halves(make_group([pattern] * 3), PLACE) == []


def test_a_model_of_the_crowd_reaches_the_ceiling_and_a_foreign_one_does_not() -> None:
    rng = np.random.default_rng(2)
    chances = rng.choice([0.2, 0.8], 100)
    people = (rng.random((20, 100)) < chances).astype(int).tolist()
    splits = halves(make_group(people), PLACE)
    ceiling = noise_ceiling(splits)
    crowd = {f"place/test/iid/0/{n}": float(chance > 0.5) for n, chance in enumerate(chances)}
    other = {scene: float(rng.integers(0, 2)) for scene in crowd}
    assert ceiling is not None
    close, far = (agreement_with_people(each, splits) for each in (crowd, other))
    assert close is not None
    assert far is not None
    assert close >= ceiling - 0.05
    assert abs(far) < 0.2
