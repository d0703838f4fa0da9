"""Rival answers in the tokens of a tokenizer that merges a bracket with some words, as Qwen's."""

import re

from hypothesis import given
from hypothesis import strategies as st

from cluster.inference.choices import add_choices, find_rivals
from physrl.types import Completion, Generation, Prompt

PIECE = re.compile(r">No|</|[A-Za-z]+|.", re.DOTALL)
VERDICTS = ("Yes", "No")


class MergingTokenizer:
    """Ids of words and signs in the order of their first use; `>No` is one token."""

    def __init__(self) -> None:
        self.words: dict[str, int] = {}

    def __call__(self, text: str, add_special_tokens: bool) -> dict[str, list[int]]:
        assert not add_special_tokens
        return {
            "input_ids": [self.words.setdefault(w, len(self.words)) for w in PIECE.findall(text)]
        }

    def text(self, ids: tuple[int, ...]) -> str:
        words = list(self.words)
        return "".join(words[each] for each in ids)


def generation(*texts: str) -> Generation:
    return Generation((), tuple(Completion(text, (1,), (-1.0,), False, 3) for text in texts))


PROMPTS = [Prompt.ask(f"scene-{n}", "Will it fall?") for n in range(2)]


def test_rivals_differ_from_the_merged_bracket_on() -> None:
    tokenizer = MergingTokenizer()
    found = find_rivals(PROMPTS[:1], [generation("<answer>Yes</answer>")], VERDICTS, tokenizer, 20)
    (rivals,) = found.values()
    assert [tokenizer.text(text) for text in rivals.texts] == [
        "<answer>Yes</answer>", "<answer>No</answer>"
    ]  # fmt: skip
    # Not `<`, `answer`, `>`: after these, No could not follow as it was learned.
    assert tokenizer.text(rivals.texts[0][: rivals.shared]) == "<answer"


def test_scores_are_those_of_the_tokens_that_differ_in_the_order_of_completions() -> None:
    generations = [
        generation("<answer>Yes</answer>", "It falls."),
        generation("So <answer>5</answer>", "<answer>No</answer>"),
    ]
    rivals = find_rivals(PROMPTS, generations, VERDICTS, MergingTokenizer(), 20)
    assert list(rivals) == [(0, 0), (1, 0), (1, 1)]
    scores = [
        [-(number + 1) * (1.0 if place >= each.shared else 100.0) for place in range(len(text))]
        for number, each in enumerate(rivals.values())
        for text in each.texts
    ]
    added = add_choices(generations, rivals, scores)
    # `>`, `Yes`, `</`, `answer`, `>` against `>No`, `</`, `answer`, `>`.
    assert [[c.choices for c in each.completions] for each in added] == [
        [(-5.0, -4.0), ()], [(-10.0, -8.0), (-15.0, -12.0)]
    ]  # fmt: skip
    assert added[0].completions[0].text == "<answer>Yes</answer>"


def test_rivals_that_would_not_fit_are_left_out() -> None:
    generations = [generation("<answer>Yes</answer>", "because " * 9 + "<answer>Yes</answer>")]
    assert list(find_rivals(PROMPTS[:1], generations, VERDICTS, MergingTokenizer(), 8)) == [(0, 0)]
    assert not find_rivals(PROMPTS[:1], generations, VERDICTS, MergingTokenizer(), 7)


@given(st.lists(st.sampled_from(["<think>", "</think>", "<answer>", "</answer>", "a", "No", ">"])))
def test_both_rivals_follow_the_text_before_the_answer(pieces: list[str]) -> None:
    text, tokenizer = "".join(pieces), MergingTokenizer()
    found = find_rivals(PROMPTS[:1], [generation(text)], VERDICTS, tokenizer, 1000)
    assert bool(found) == ("<answer>" in text.rpartition("</think>")[2])
    for rivals in found.values():
        yes, no = (tokenizer.text(ids) for ids in rivals.texts)
        before = yes.removesuffix("<answer>Yes</answer>")
        assert no == before + "<answer>No</answer>"
        assert text.startswith(before + "<answer>")
        assert rivals.shared < min(map(len, rivals.texts))


def test_without_choices_nothing_is_added() -> None:
    assert add_choices([generation("x")], {}, []) == [generation("x")]
    assert find_rivals([], [], VERDICTS, MergingTokenizer(), 9) == {}
