import numpy as np
import pytest

from physrl.data.rows import share_rows
from physrl.training_records import TrainingExample
from physrl.types import Prompt

IMAGE = np.zeros((28, 28, 3), np.uint8)
A, B = (Prompt.ask(name, "How many?", IMAGE) for name in "ab")


def examples(*prompts_and_lengths: tuple[Prompt, int]) -> list[TrainingExample]:
    return [TrainingExample(prompt, (7,) * length) for prompt, length in prompts_and_lengths]


def prompt_length(_: Prompt) -> int:
    return 10


def test_consecutive_examples_of_a_prompt_share_a_row() -> None:
    batch = examples((A, 3), (A, 4), (B, 5), (A, 6), (A, 1))
    assert share_rows(batch, prompt_length) == [[0, 1], [2], [3, 4]]
    assert share_rows(batch, prompt_length, most=1) == [[0], [1], [2], [3], [4]]


def test_shared_rows_do_not_exceed_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("physrl.data.rows.LONGEST_ROW", 20)
    # 10 + 4 + 6 fit; 10 + 25 does not and gets its own row, and so does the example after it.
    batch = examples((A, 4), (A, 6), (A, 25), (A, 1))
    assert share_rows(batch, prompt_length) == [[0, 1], [2], [3]]
