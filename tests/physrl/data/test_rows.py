"""Rows against hand-made ones."""

import numpy as np
import pytest

from physrl.data.rows import share_rows
from physrl.types import Prompt, TrainingExample

PICTURE = np.zeros((28, 28, 3), np.uint8)
A, B = (Prompt.ask(name, "How many?", PICTURE) for name in "ab")


def examples(*asked: tuple[Prompt, int]) -> list[TrainingExample]:
    return [TrainingExample(prompt, (7,) * length) for prompt, length in asked]


def ten(_: Prompt) -> int:
    return 10


def test_neighbours_of_one_prompt_share_a_row() -> None:
    some = examples((A, 3), (A, 4), (B, 5), (A, 6), (A, 1))
    assert share_rows(some, ten) == [[0, 1], [2], [3, 4]]
    assert share_rows(some, ten, most=1) == [[0], [1], [2], [3], [4]]


def test_rows_are_no_longer_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("physrl.data.rows.LONGEST_ROW", 20)
    # 10 + 4 + 6 fit; 10 + 25 does not and is alone, as is what follows it.
    assert share_rows(examples((A, 4), (A, 6), (A, 25), (A, 1)), ten) == [[0, 1], [2], [3]]
