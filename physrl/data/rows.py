"""Which examples of a micro-batch are computed in one row: those that answer the same prompt.

A prompt is computed once, and its completions stand behind it one after another. Each sees the
prompt and itself, and stands where it would stand alone: what it is given, and its gradient, are
those of a row of its own. With groups of short answers to one picture, that is several times less
to compute.
"""

from collections.abc import Callable, Sequence

from physrl.types import Prompt, TrainingExample

LONGEST_ROW = 1024
"""Tokens of a row that several completions share. Attention grows with the square of a row, so long
completions are better off in rows of their own."""


def share_rows(
    examples: Sequence[TrainingExample],
    prompt_length: Callable[[Prompt], int],
    most: int | None = None,
) -> list[list[int]]:
    """Numbers of consecutive examples, row by row, in order.

    Args:
        prompt_length: tokens of a prompt.
        most: completions of one row; None leaves it to `LONGEST_ROW`.
    """
    rows: list[list[int]] = []
    length = 0
    for number, example in enumerate(examples):
        length += len(example.completion_ids)
        fits = length <= LONGEST_ROW and (most is None or len(rows[-1]) < most) if rows else False
        if fits and example.prompt is examples[rows[-1][0]].prompt:
            rows[-1].append(number)
        else:
            rows.append([number])
            length = prompt_length(example.prompt) + len(example.completion_ids)
    return rows
