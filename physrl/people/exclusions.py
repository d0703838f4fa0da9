"""Exclusion of persons by rules that were fixed before their answers are looked at."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from physrl.config.people import ExclusionConfig
from physrl.people.recordings import Session, Trial

CATCH_REACH = 0.5
"""Largest distance from the cross of a passed catch trial, in block widths."""
DUPLICATE, UNFINISHED, INATTENTIVE, HASTY = (
    "took part before", "too few trials", "failed catch trials", "too fast",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Kept:
    """The sessions that count, and the number of the others by reason."""

    sessions: tuple[Session, ...]
    excluded: Mapping[str, int]


def exclude(sessions: Sequence[Session], rules: ExclusionConfig) -> Kept:
    """Apply the rules to sessions in their order; of a person the first session counts."""
    seen: set[str] = set()
    kept, reasons = list[Session](), Counter[str]()
    for session in sessions:
        reason = DUPLICATE if session.person in seen else _reason(session, rules)
        seen.add(session.person)
        if reason is None:
            kept.append(session)
        else:
            reasons[reason] += 1
    return Kept(tuple(kept), dict(reasons))


def _reason(session: Session, rules: ExclusionConfig) -> str | None:
    answered, catches = session.of("test"), session.of("catch")
    planned = max(trial.planned for trial in session.trials)
    if not answered or len({trial.scene for trial in answered}) < rules.trials_share * planned:
        return UNFINISHED
    if catches and sum(map(is_passed, catches)) < rules.catch_share * len(catches):
        return INATTENTIVE
    if median(trial.rt for trial in answered) < 1000 * rules.median_seconds:
        return HASTY
    return None


def is_passed(trial: Trial) -> bool:
    """Return whether a catch trial got the answer that it requested, or one near its cross."""
    if trial.expected is None:
        return False
    try:
        pairs = zip(_numbers(trial.answer), _numbers(trial.expected), strict=True)
        return sum((given - asked) ** 2 for given, asked in pairs) <= (100 * CATCH_REACH) ** 2
    except ValueError:  # words, or another number of numbers
        return trial.answer == trial.expected


def _numbers(text: str) -> list[float]:
    numbers = [float(word) for word in text.split()]
    if not numbers:
        raise ValueError("no number")
    return numbers
