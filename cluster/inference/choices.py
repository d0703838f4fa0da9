"""Probabilities of rival answers in place of a completion's own, by scoring each as if given.

The text before a completion's answer stays, and each rival follows it in the tokens that the
tokenizer gives it. Single tokens would not do: Qwen's `<answer>Yes` has the tokens `>` and `Yes`,
but `<answer>No` the token `>No`, so that the two differ one token earlier than their words.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

from physrl.tasks.answers import answer_text, text_before_answer
from physrl.types import Generation, Prompt

Tokens = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Rivals:
    """Rival answers to a prompt after the same text."""

    prompt: Prompt
    texts: tuple[Tokens, ...]
    """Token ids of the text before the answer, with each of the answers after it."""

    @property
    def shared(self) -> int:
        """Number of tokens that all texts begin with."""
        columns = zip(*self.texts, strict=False)
        return sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, columns))


def find_rivals(
    prompts: Sequence[Prompt],
    generations: Sequence[Generation],
    choices: Sequence[str],
    tokenizer: Any,
    longest: int,
) -> dict[tuple[int, int], Rivals]:
    """Make the rivals of each completion with an answer, by the numbers of prompt and completion.

    Args:
        longest: largest number of tokens of a completion; longer rivals are left out.
    """
    found = {
        (number, place): Rivals(prompt, tuple(_ids(tokenizer, before, each) for each in choices))
        for number, (prompt, generation) in enumerate(zip(prompts, generations, strict=True))
        for place, completion in enumerate(generation.completions)
        if (before := text_before_answer(completion.text)) is not None
    }
    return {place: each for place, each in found.items() if max(map(len, each.texts)) < longest}


def add_choices(
    generations: Sequence[Generation],
    rivals: dict[tuple[int, int], Rivals],
    scores: Sequence[Sequence[float]],
) -> list[Generation]:
    """Add the log-probabilities of choices to completions.

    Args:
        scores: log-probabilities of the tokens of each text of each of the rivals.
    """
    remaining = iter(scores)
    found = {
        place: tuple(sum(next(remaining)[each.shared :]) for _ in each.texts)
        for place, each in rivals.items()
    }
    return [
        replace(
            generation,
            completions=tuple(
                replace(completion, choices=found.get((number, place), ()))
                for place, completion in enumerate(generation.completions)
            ),
        )
        for number, generation in enumerate(generations)
    ]


def _ids(tokenizer: Any, before: str, choice: str) -> Tokens:
    return tuple(tokenizer(before + answer_text(choice), add_special_tokens=False)["input_ids"])
