from dataclasses import replace

from physrl.config.environment import EnvironmentConfig
from physrl.evaluation.questions import describe_difference, group_by_question, question_of
from physrl.evaluation.specs import Condition
from tests.support.answers import make_answer
from tests.support.measurements import make_measurement

SAMPLED = Condition("place", decoding="sampled")
HARD = EnvironmentConfig(num_blocks=(5, 6))


def test_only_equal_questions_are_in_one_group() -> None:
    base = make_measurement("base")
    trained = make_measurement("grpo", (make_answer(0, False),))
    others = [
        make_measurement("grpo", environment=HARD),
        make_measurement("grpo", seed=1),
        make_measurement("grpo", (make_answer(0), make_answer(1))),
        make_measurement("grpo", reasoning=True),
        make_measurement("grpo", generator="0" * 64),
        make_measurement("grpo", data="1" * 64),
        make_measurement("grpo", condition=Condition("place", "tall")),
        make_measurement("grpo", condition=Condition("place", images="blank")),
    ]
    first, *rest = group_by_question([base, trained, *others])
    assert first.measurements == (base, trained)
    assert [each.measurements for each in rest] == [(each,) for each in others]


def test_tasks_and_decodings_of_a_question_are_shown_together() -> None:
    parts = [
        make_measurement(),
        make_measurement(condition=SAMPLED),
        make_measurement(condition=Condition("place_x")),
    ]
    (group,) = group_by_question(parts)
    (policy,) = group.policies
    assert len(policy.results) == 3


def test_answers_of_two_temperatures_are_apart() -> None:
    cool = make_measurement("a", condition=SAMPLED, temperature=0.5)
    warm = make_measurement("b", condition=SAMPLED)
    first, second = group_by_question([make_measurement("a"), cool, make_measurement("b"), warm])
    assert [len(each.measurements) for each in (first, second)] == [3, 1]


def test_the_reward_does_not_make_another_question() -> None:
    other = make_measurement("grpo", max_completion_tokens=99)
    assert question_of(other) == question_of(make_measurement("base"))


def test_photographs_do_not_depend_on_the_environment() -> None:
    real = Condition("stability", "real")
    first = make_measurement(condition=real, photos="a")
    assert question_of(first) == question_of(
        make_measurement(condition=real, photos="a", environment=HARD, seed=3)
    )
    assert question_of(first) != question_of(make_measurement(condition=real, photos="b"))


def test_a_difference_names_both_values() -> None:
    one = question_of(make_measurement())
    text = describe_difference(replace(one, environment=HARD, scenes=5), one)
    assert text == "scenes 5 (not 1); environment.num_blocks [5, 6] (not [3, 5])"
    assert describe_difference(one, one) == ""
