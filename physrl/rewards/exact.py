"""Reward of an answer that is the reference answer, and what counts as the same answer."""

import re
import unicodedata
from collections.abc import Sequence
from decimal import Decimal

from physrl.rewards.attempt import ScoredAttempt
from physrl.types import Question, SceneSpec

_DASHES = str.maketrans("\u2010\u2011\u2012\u2013\u2212", "-----")
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,3}(?:[, ][0-9]{3})+|[0-9]+)?(?:\.[0-9]+)?", re.ASCII)
_DIGIT = re.compile(r"[0-9]", re.ASCII)


def parts(scene: SceneSpec | Question, attempts: Sequence[ScoredAttempt]) -> dict[str, float]:
    """Return both parts of the last attempt."""
    outcome = attempts[-1].outcome
    return {
        "success": float(outcome.success),
        "unparseable": -float(outcome.status == "unparseable"),
    }


def is_same_answer(given: str, reference: str) -> bool:
    """Return whether two answers are the same to a person.

    Case, spaces and a full stop at the end do not matter. Numbers are compared as numbers, also
    with separators of thousands: `1,000`, `1 000` and `1000.0` are the same.
    """
    first, second = _plain(given), _plain(reference)
    if first == second:
        return True
    numbers = _number(first), _number(second)
    return None not in numbers and numbers[0] == numbers[1]


def _plain(answer: str) -> str:
    """Return an answer in one spelling of its letters, spaces and dashes, in lower case."""
    text = unicodedata.normalize("NFKC", answer).translate(_DASHES).casefold()
    return " ".join(text.split()).removesuffix(".").rstrip()


def _number(text: str) -> Decimal | None:
    if _NUMBER.fullmatch(text) is None or _DIGIT.search(text) is None:
        return None
    return Decimal(text.replace(",", "").replace(" ", ""))
