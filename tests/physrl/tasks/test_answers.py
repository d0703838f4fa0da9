import pytest
from hypothesis import given
from hypothesis import strategies as st

from physrl.tasks.answers import answer_text, extract_answer, parse_offset, parse_verdict
from physrl.types import Offset, Unparseable, Verdict

NUMBERS = st.integers(-1000, 1000)
FORMS = st.sampled_from(["{} {}", "{}, {}", " ( {} ,{} ) ", "[{} {}]", "{};{}", "\n{}\n{}\n"])


@given(NUMBERS, NUMBERS, FORMS)
def test_forms_that_mean_the_same(x: int, y: int, form: str) -> None:
    assert parse_offset(answer_text(form.format(x, y))) == Offset(x / 100, y / 100)


@given(st.text())
def test_any_text_is_an_answer_or_unparseable(text: str) -> None:
    for completion in (text, answer_text(text)):
        assert isinstance(parse_offset(completion), Offset | Unparseable)
        assert isinstance(parse_verdict(completion), Verdict | Unparseable)


@given(st.text(alphabet="<>/answerthinkYesNo 0123456789,+-()"))
def test_nearly_answers_never_raise(text: str) -> None:
    parse_offset(answer_text(text))
    parse_verdict(text)


@pytest.mark.parametrize("inner", ["+5 -7", "(+5,-7)", "5 -7", "05 -07"])
def test_signs(inner: str) -> None:
    assert parse_offset(answer_text(inner)) == Offset(0.05, -0.07)


@pytest.mark.parametrize(
    "inner",
    [
        "",
        "1",
        "1 2 3",
        "1.5 2",
        "nan nan",
        "1e2 3",
        "one two",
        "1001 0",
        "0 -1001",
        "9999999 1",
        "(1 2",
        "(1 2]",
        "1 2 blocks",
        "x=1 y=2",
        "1,,2",
        "- 1 2",
        "\u0661 \u0662",
    ],
)
def test_what_is_no_pair_of_numbers(inner: str) -> None:
    assert isinstance(parse_offset(answer_text(inner)), Unparseable)


@pytest.mark.parametrize(
    ("inner", "falls"),
    [("Yes", True), ("yes.", True), (" NO ", False), ("no!", False), ("No .", False)],
)
def test_verdicts(inner: str, falls: bool) -> None:
    assert parse_verdict(answer_text(inner)) == Verdict(falls)


@pytest.mark.parametrize("inner", ["", "maybe", "Yes No", "Yes, it falls", "yesno", "1", "yes.."])
def test_what_is_no_verdict(inner: str) -> None:
    assert isinstance(parse_verdict(answer_text(inner)), Unparseable)


@pytest.mark.parametrize(
    "completion",
    [
        "No",
        "<answer>No",
        "No</answer>",
        "<answer>No</answer><answer>No</answer>",
        "<answer><answer>No</answer>",
        "<answer>No</answer></answer>",
        "<think>hm <answer>No</answer>",
        "<think><answer>No</answer></think>",
    ],
)
def test_one_pair_of_tags_and_no_other(completion: str) -> None:
    assert isinstance(extract_answer(completion), Unparseable)


def test_words_around_the_answer_do_not_matter() -> None:
    completion = "<think>Maybe <answer>Yes</answer>?</think> So: <answer>No</answer> I think."
    assert extract_answer(completion) == "No"
