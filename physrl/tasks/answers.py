"""Reading a completion: what a person would call the same answer, and nothing else."""

import re

from physrl.types import Offset, Unparseable, Verdict

LARGEST_OFFSET = 10.0
"""Offsets beyond this many block widths lie outside every scene."""
UNITS = 100
"""Answers are integers in hundredths of a block width."""

_THOUGHT = re.compile(r"<think>.*?</think>", re.DOTALL)
_ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
_VERDICT = re.compile(r"\s*(yes|no)\s*[.!]?\s*", re.IGNORECASE)
_BRACKETS = re.compile(r"\s*(?:\((.*)\)|\[(.*)\]|(.*))\s*", re.DOTALL)
_INTEGER = re.compile(r"[+-]?[0-9]{1,6}")


def extract_answer(completion: str) -> str | Unparseable:
    """What stands between the one pair of answer tags, outside any thought."""
    spoken = _THOUGHT.sub("", completion)
    if "<think>" in spoken:
        return Unparseable("the thought is not closed")
    answers = _ANSWER.findall(spoken)
    if len(answers) != 1 or spoken.count("<answer>") != 1 or spoken.count("</answer>") != 1:
        return Unparseable(f"{len(answers)} answers instead of one")
    return str(answers[0])


def parse_verdict(completion: str) -> Verdict | Unparseable:
    """`Yes` (a block will fall) or `No`."""
    answer = extract_answer(completion)
    if isinstance(answer, Unparseable):
        return answer
    match = _VERDICT.fullmatch(answer)
    if match is None:
        return Unparseable("neither Yes nor No")
    return Verdict(falls=match[1].lower() == "yes")


def parse_offset(completion: str) -> Offset | Unparseable:
    """Two integers, x and y, in hundredths of a block width."""
    answer = extract_answer(completion)
    if isinstance(answer, Unparseable):
        return answer
    match = _BRACKETS.fullmatch(answer)
    assert match is not None  # the last alternative takes anything
    inner = next(group for group in match.groups() if group is not None)
    words = re.split(r"\s*[,;]\s*|\s+", inner.strip())
    if len(words) != 2 or not all(_INTEGER.fullmatch(word) for word in words):
        return Unparseable("not two integers")
    x, y = (int(word) / UNITS for word in words)
    if max(abs(x), abs(y)) > LARGEST_OFFSET:
        return Unparseable(f"further than {LARGEST_OFFSET:g} block widths")
    return Offset(x, y)


def answer_text(answer: str) -> str:
    """The completion that states this answer and nothing else."""
    return f"<answer>{answer}</answer>"
