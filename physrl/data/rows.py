"""Packing of a micro-batch: completions of the same prompt share a row.

A prompt is computed once and followed by its completions, one after another. Each completion
attends to the prompt and to itself, at the positions that it would have alone, so its
log-probabilities and gradient equal those of a row of its own. With groups of short answers to one
image this saves most of the computation.
"""

from collections.abc import Callable, Sequence

from physrl.training_records import TrainingExample
from physrl.types import Prompt

LONGEST_ROW = 1024
"""Largest number of tokens in a row that several completions share. Attention cost grows with the
square of the row, so long completions are cheaper in rows of their own."""


def share_rows(
    examples: Sequence[TrainingExample],
    prompt_length: Callable[[Prompt], int],
    most: int | None = None,
) -> list[list[int]]:
    """Assign consecutive examples to rows, in order; return the examples' indices by row.

    Args:
        prompt_length: returns the number of tokens of a prompt.
        most: maximum completions per row; None: only `LONGEST_ROW` limits them.
    """
    rows: list[list[int]] = []
    length = 0
    for index, example in enumerate(examples):
        length += len(example.completion_ids)
        fits = length <= LONGEST_ROW and (most is None or len(rows[-1]) < most) if rows else False
        if fits and example.prompt is examples[rows[-1][0]].prompt:
            rows[-1].append(index)
        else:
            rows.append([index])
            length = prompt_length(example.prompt) + len(example.completion_ids)
    return rows
