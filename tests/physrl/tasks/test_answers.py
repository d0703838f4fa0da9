import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from physrl.tasks.answers import (
    Axis,
    answer_pattern,
    answer_text,
    extract_answer,
    format_action,
    parse_offset,
    parse_verdict,
    text_before_answer,
)
from physrl.tasks.prediction import parse_prediction, prediction_text
from physrl.types import Action, FirstMove, Offset, Still, Unparseable, Verdict

NUMBERS = st.integers(-1000, 1000)
PAIRS = st.sampled_from(["{} {}", "{}, {}", " ( {} ,{} ) ", "[{} {}]", "{};{}", "\n{}\n{}\n"])
SINGLES = st.sampled_from(["{}", " {} ", "({})", "[ {} ]", "\n{}\n"])
MANY = settings(max_examples=1_500, deadline=None)
"""Two tests of twice this many texts, each in five surroundings: 100,000 completions."""
TAGS = ["<think>", "</think>", "<answer>", "</answer>", answer_text("5"), answer_text("Yes")]
VARIANTS = [
    "<Think>",
    "</THINK>",
    "<think >",
    "< / think>",
    "<ANSWER>",
    "</ answer\n>",
    "< answer>",
]
THOUGHT = re.compile(r"<\s*/?\s*think\s*>", re.IGNORECASE | re.ASCII)
ANSWER = re.compile(r"<\s*answer\s*>", re.IGNORECASE | re.ASCII)
WORDS = ["Yes", "no", "150", "-7", "+5", "9" * 30, "1e3", "0.5", "nan", "think", "\u0661", "\u2212"]
PIECES = st.sampled_from([*TAGS, *VARIANTS, *WORDS, *".!()[],;-</> \n\0"])
NEARLY_ANSWERS = st.lists(PIECES, max_size=9).map("".join)


def parsed(completion: str) -> list[Action]:
    """What each parser makes of a completion."""
    return [
        parse_verdict(completion),
        parse_offset(completion, "x"),
        parse_offset(completion, "y"),
        parse_offset(completion, "xy"),
    ]


def means_nothing(completion: str) -> bool:
    return all(isinstance(action, Unparseable) for action in parsed(completion))


@MANY
@given(NEARLY_ANSWERS, NEARLY_ANSWERS)
def test_nearly_answers(text: str, other: str) -> None:
    check(text, other)


@MANY
@given(
    st.text(max_size=30),
    st.text(alphabet="<>/answerthinkANSWERTHINKYesNo 0123456789,+-()", max_size=30),
)
def test_any_text(text: str, other: str) -> None:
    check(text, other)


def check(text: str, other: str) -> None:
    """Nothing raises; neither two answers, nor none, nor one inside a thought means anything."""
    for one in (text, other):
        parsed(one)
        for action in parsed(answer_text(one)):
            assert not isinstance(action, Offset) or max(abs(action.x), abs(action.y)) <= 10
        closed = THOUGHT.sub("\0", one)
        assert means_nothing(answer_text(closed) + answer_text(closed))
        assert means_nothing(ANSWER.sub("\0", one))
        assert means_nothing(f"<think>{closed}<answer>5</answer>{closed}</think>{closed[:3]}")


@given(NUMBERS, NUMBERS, PAIRS)
def test_forms_of_two_numbers(x: int, y: int, form: str) -> None:
    assert parse_offset(answer_text(form.format(x, y)), "xy") == Offset(x / 100, y / 100)


@given(NUMBERS, SINGLES)
def test_forms_of_one_number(number: int, form: str) -> None:
    completion = answer_text(form.format(number))
    assert parse_offset(completion, "x") == Offset(number / 100, 0.0)
    assert parse_offset(completion, "y") == Offset(0.0, number / 100)


@given(NUMBERS, NUMBERS, st.sampled_from(["x", "y", "xy"]))
def test_words_are_read_back(x: int, y: int, axes: str) -> None:
    offset = Offset(x / 100 if "x" in axes else 0.0, y / 100 if "y" in axes else 0.0)
    assert parse_offset(answer_text(format_action(offset, axes)), axes) == offset  # type: ignore[arg-type]


def test_words_of_verdicts_and_of_nothing() -> None:
    for falls in (True, False):
        assert parse_verdict(answer_text(format_action(Verdict(falls), ()))) == Verdict(falls)
    assert format_action(Unparseable("no"), ("x",)) == ""


@pytest.mark.parametrize("inner", ["+5 -7", "(+5,-7)", "5 -7", "05 -07", "5 \u22127"])
def test_signs(inner: str) -> None:
    assert parse_offset(answer_text(inner), "xy") == Offset(0.05, -0.07)


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
        "((1 2))",
        "1 2 blocks",
        "x=1 y=2",
        "1,,2",
        "- 1 2",
        "--1 2",
        "\u0661 \u0662",
        "1<think></think> 2",
    ],
)
def test_what_is_no_pair_of_numbers(inner: str) -> None:
    assert isinstance(parse_offset(answer_text(inner), "xy"), Unparseable)


@pytest.mark.parametrize(
    "inner",
    ["", "1 2", "1.5", "1e2", "1001", "9" * 5000, "\u0661", "(1", "5 blocks", "1 or 2", "½"],
)
def test_what_is_no_number(inner: str) -> None:
    assert isinstance(parse_offset(answer_text(inner), "x"), Unparseable)


@pytest.mark.parametrize(
    ("inner", "falls"),
    [("Yes", True), ("yes.", True), (" NO ", False), ("no!", False), ("No .", False)],
)
def test_verdicts(inner: str, falls: bool) -> None:
    assert parse_verdict(answer_text(inner)) == Verdict(falls)


@pytest.mark.parametrize(
    "inner", ["", "maybe", "Yes No", "Yes, it falls", "yesno", "1", "yes..", "ye\u017f"]
)
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
        "<think>a<think>b</think><answer>No</answer></think>",
        "hm <answer>No</answer></think>",
        "<ans<think></think>wer>No</answer>",
        "<Think><answer>No</answer></Think>",
        "<THINK><answer>No</answer></THINK> I do not know",
        "<think >so <answer>No</answer></think >",
        "<\tthink>so <answer>No</answer>< / think>",
        "<answer>No</answer><ANSWER>Yes</ANSWER>",
        "<answer>No</answer> <answer >Yes</answer >",
        "<answer>No</answer></Answer>",
    ],
)
def test_one_pair_of_tags_and_no_other(completion: str) -> None:
    assert isinstance(extract_answer(completion), Unparseable)


@pytest.mark.parametrize(
    "completion",
    [
        "<think>Maybe <answer>Yes</answer>?</think> So: <answer>No</answer> I think.",
        "began in the prompt <answer>Yes</answer></think><answer>No</answer>",
        "<think>a<think>b</think>c</think><answer> No\n</answer>",
        "<answer>No</answer><think><answer>Yes</answer></think>",
        "<Think>Maybe <answer>Yes</answer>?</THINK> <ANSWER>No</ANSWER >",
        "< answer >No< / answer >",
    ],
)
def test_thoughts_do_not_matter(completion: str) -> None:
    assert extract_answer(completion) == "No"


AXES: list[tuple[Axis, ...]] = [(), ("x",), ("x", "y")]
LEGAL = {
    (): ["Yes", "no", " No ", "yes."],
    ("x",): ["150", "-7", "+1000", "(0)", "[-1000]", " 012 "],
    ("x", "y"): ["150 -20", "1,2", "(1, 2)", "[-1000; 1000]"],
}
ILLEGAL = {
    (): ["", "Yes No", "150", "maybe", "YesYes"],
    ("x",): ["1001", "", "1 2", "Yes", "1.5", "--1"],
    ("x", "y"): ["1", "1 2 3", "1 1001", "(1 2"],
}


@pytest.mark.parametrize("axes", AXES)
def test_the_grammar_by_examples(axes: tuple[Axis, ...]) -> None:
    pattern = re.compile(answer_pattern(axes))
    for answer in LEGAL[axes]:
        assert pattern.fullmatch(answer_text(answer)), answer
    for answer in ILLEGAL[axes]:
        assert not pattern.fullmatch(answer_text(answer)), answer
    assert not pattern.fullmatch(answer_text("Yes" if not axes else "1") + ".")


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("reasoning", [False, True])
@pytest.mark.parametrize("predicts", [False, True])
def test_all_that_the_grammar_generates_is_parsed(
    axes: tuple[Axis, ...], reasoning: bool, predicts: bool
) -> None:
    pattern = answer_pattern(axes, reasoning=reasoning, predicts=predicts)

    @settings(max_examples=300, deadline=None)
    @given(st.from_regex(re.compile(pattern, re.ASCII), fullmatch=True))
    def check(completion: str) -> None:
        prediction, rest = parse_prediction(completion)
        answer = rest if predicts else completion
        action = parse_offset(answer, axes) if axes else parse_verdict(answer)
        assert isinstance(action, Offset if axes else Verdict)
        if "<outcome>" in completion and predicts and "<think>" not in completion:
            assert not isinstance(prediction, Unparseable)

    check()


@pytest.mark.parametrize("axes", AXES)
@given(data=st.data())
def test_ideal_answers_match_the_grammar(axes: tuple[Axis, ...], data: st.DataObject) -> None:
    numbers = [data.draw(NUMBERS) for _ in axes]
    action: Action = Verdict(data.draw(st.booleans()))
    if axes:
        action = Offset(
            **({"x": 0.0, "y": 0.0} | {a: n / 100 for a, n in zip(axes, numbers, strict=True)})
        )
    completion = answer_text(format_action(action, axes))
    assert re.fullmatch(answer_pattern(axes), completion)
    outcome = prediction_text(data.draw(st.sampled_from([Still(), FirstMove(12, "towards")])))
    reasoned = f"<think>1 + 1 > 0?</think>\n{outcome}{completion}"
    assert re.fullmatch(answer_pattern(axes, reasoning=True, predicts=True), reasoned)


def test_the_text_before_an_answer_by_hand() -> None:
    assert text_before_answer("<answer>Yes</answer>") == ""
    assert text_before_answer("So: < Answer >Yes") == "So: "
    thought = "<think>or <answer>No</answer>?</think>\n"
    assert text_before_answer(f"{thought}<answer>5</answer><answer>6</answer>") == thought
    assert text_before_answer("<think>never <answer>closed") == "<think>never "
    assert text_before_answer("Yes") is None
    assert text_before_answer(f"{thought}Yes</answer>") is None
